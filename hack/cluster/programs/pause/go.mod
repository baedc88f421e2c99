module dataguardian.io/hack/cluster/programs/pause

go 1.25.0
