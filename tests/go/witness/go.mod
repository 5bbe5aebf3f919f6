module mapshift.test/witness

go 1.19
