module mapshift.test/service

go 1.19
