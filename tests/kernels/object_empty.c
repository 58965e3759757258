// A shared object that is no backend (test_find.c).
extern int nothing;
int nothing = 0;
