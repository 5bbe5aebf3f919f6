module figures

go 1.19
