// Cores and memory by affinity and control groups, on roots made for the purpose.
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/base/machine.h"

enum { GIB = 1 << 30 };
static char root[64];

static void write_file(const char *path, const char *text) {
    char whole[512], command[600];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", whole);
    assert_int_equal(system(command), 0);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int new_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/test_machine.XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file("/proc/meminfo", "MemTotal: 33554432 kB\nMemAvailable:   16777216 kB\n");
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void expect(int n_cores, uint64_t bytes) {
    assert_int_equal(machine_n_cores_at(root, 8), n_cores);
    assert_int_equal(machine_available_bytes_at(root), bytes);
}

static void test_no_groups(void **state) {
    (void)state;
    expect(8, 16ull * GIB);
    assert_int_equal(machine_n_cores_at(root, 0), 1);
    write_file("/proc/meminfo", "nothing\n");
    expect(8, 0);
}

static void test_version_2(void **state) {
    (void)state;
    write_file("/proc/self/cgroup", "0::/pod/worker\n");
    write_file("/sys/fs/cgroup/pod/worker/cpu.max", "max 100000\n");
    write_file("/sys/fs/cgroup/pod/worker/memory.max", "max\n");
    expect(8, 16ull * GIB);
    write_file("/sys/fs/cgroup/pod/worker/cpu.max", "250000 100000\n");
    write_file("/sys/fs/cgroup/pod/worker/memory.max", "4294967296\n");
    write_file("/sys/fs/cgroup/pod/worker/memory.current", "3221225472\n");
    expect(3, 1ull * GIB);
    // Page cache is given back when it is needed.
    write_file("/sys/fs/cgroup/pod/worker/memory.stat", "anon 5\ninactive_file 1073741824\n");
    expect(3, 2ull * GIB);
    // A tighter limit above counts too; one that is used up leaves next to nothing.
    write_file("/sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
    write_file("/sys/fs/cgroup/pod/memory.max", "1024\n");
    write_file("/sys/fs/cgroup/pod/memory.current", "4096\n");
    expect(1, 1);
}

// A container sees its own group as the root.
static void test_container(void **state) {
    (void)state;
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    write_file("/sys/fs/cgroup/memory.max", "2147483648\n");
    write_file("/sys/fs/cgroup/memory.current", "0\n");
    expect(2, 2ull * GIB);
    write_file("/proc/self/cgroup", "0::/kubepods/not-shown-here\n");
    expect(2, 2ull * GIB);
}

static void test_version_1(void **state) {
    (void)state;
    write_file("/proc/self/cgroup", "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n");
    write_file("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "-1\n");
    write_file("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("/sys/fs/cgroup/memory/docker/a/memory.usage_in_bytes", "1000\n");
    expect(8, 16ull * GIB);
    write_file("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "400000\n");
    write_file("/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "3221225472\n");
    write_file("/sys/fs/cgroup/memory/docker/a/memory.usage_in_bytes", "2147483648\n");
    write_file("/sys/fs/cgroup/memory/docker/a/memory.stat", "total_inactive_file 1073741824\n");
    expect(4, 2ull * GIB);
}

static void write_node(int node, const char *processors) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
    write_file(path, processors);
}

static void write_allowed(const char *processors, const char *nodes) {
    char text[256];
    snprintf(text, sizeof text,
             "Name:\tx\nCpus_allowed_list:\t%s\nMems_allowed:\t0000000f\n"
             "Mems_allowed_list:\t%s\n",
             processors, nodes);
    write_file("/proc/self/status", text);
}

// Two sockets with two nodes each, and a node of memory alone.
static void test_nodes(void **state) {
    (void)state;
    assert_int_equal(machine_nodes_at(root), 1);
    write_file("/sys/devices/system/node/online", "0-4\n");
    write_node(0, "0-3,16-19\n");
    write_node(1, "4-7,20-23\n");
    write_node(2, "8-11\n");
    write_node(3, "12-15,4095\n");
    write_node(4, "\n");
    write_allowed("0-23", "0-4");
    assert_int_equal(machine_nodes_at(root), 15);
    write_allowed("2,9-10", "0-4");
    assert_int_equal(machine_nodes_at(root), 5);
    write_allowed("0-23", "1,3-4");
    assert_int_equal(machine_nodes_at(root), 10);
    write_allowed("4095", "0-4");
    assert_int_equal(machine_nodes_at(root), 8);
    write_allowed("30", "0-4");
    assert_int_equal(machine_nodes_at(root), 1);
    // What is beyond what a mask holds is left out; what is no list lists nothing.
    write_allowed("0-23,5000-70000000000", "0-99999999999");
    assert_int_equal(machine_nodes_at(root), 15);
    write_allowed("x", "0-4");
    assert_int_equal(machine_nodes_at(root), 1);
    assert_true(machine_nodes() != 0);
}

static void test_affinity(void **state) {
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &all)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(machine_n_cores(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_in_range(machine_n_cores(), 1, CPU_COUNT(&all));
    assert_true(machine_available_bytes() > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_groups, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_version_2, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_container, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_version_1, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_nodes, new_root, remove_root),
        cmocka_unit_test(test_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
