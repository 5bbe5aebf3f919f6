module mapshift.test/steady

go 1.19
