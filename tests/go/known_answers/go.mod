module example.com/known_answers

go 1.19
