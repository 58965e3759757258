// The subcommands. argv[0] is the subcommand's name; each returns the exit status of the program.
#ifndef WORKER_COMMANDS_COMMANDS_H
#define WORKER_COMMANDS_COMMANDS_H

int command_generate(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_score(int argc, char **argv);
int command_score_worker(int argc, char **argv); // hidden: a process of `score`
int command_bench(int argc, char **argv);
int command_keygen(int argc, char **argv);
int command_inspect(int argc, char **argv);

#endif
