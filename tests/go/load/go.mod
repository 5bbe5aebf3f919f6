module mapshift.test/load

go 1.19
