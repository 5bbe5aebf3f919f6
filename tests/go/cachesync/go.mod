module mapshift.test/cachesync

go 1.19
