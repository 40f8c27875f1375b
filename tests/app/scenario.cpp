#include "app/scenario/scenario.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "app/scenario/explain.h"
#include "app/scenario/quantity.h"
#include "app/scenario/reader.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

const std::filesystem::path kScenarios = std::filesystem::path(HVSIM_SOURCE_DIR) / "scenarios";

/// The lines that every complete scenario needs, and `more` after them.
std::string with_vm(const std::string& host = "", const std::string& more = "") {
    return "[host]\nvendor = \"intel\"\n" + host + "\n[hypervisor]\n[[vm]]\nname = \"a\"\n" +
           "kernel = \"vmlinuz\"\n" + more;
}

Scenario parse(const std::string& text, std::vector<std::string> set = {}) {
    ReadOptions options;
    options.check_files = false;
    options.set = std::move(set);
    options.profile_folders = {kScenarios / "profiles"};
    return parse_scenario(text, "folder/test.toml", options);
}

/// The whole message of the error that reading `text` gives, with its hint.
std::string error_of(const std::string& text, std::vector<std::string> set = {}) {
    try {
        parse(text, std::move(set));
    } catch (const sim::ConfigError& error) {
        return fmt::format("{} | {}", error.what(), error.hint());
    }
    return "no error";
}

}  // namespace

TEST_CASE("the defaults of a small scenario") {
    const Scenario scenario = parse(with_vm());
    CHECK(scenario.host.vendor == Vendor::intel);
    CHECK(scenario.host.processors == 1);
    CHECK(scenario.host.ram == 2 * kGiB);
    CHECK(scenario.host.date == 1704067200);
    CHECK(scenario.host.quantum == 10 * sim::kMicrosecond);
    CHECK(scenario.host.code_buffer == 64 * kMiB);
    CHECK(scenario.host.iommu.enabled);
    CHECK(scenario.host.iommu.iotlb_entries == 64);
    REQUIRE(scenario.hypervisor);
    CHECK(scenario.hypervisor->direct_timers);
    CHECK(scenario.hypervisor->scheduler_slice == 10 * sim::kMillisecond);
    REQUIRE(scenario.vms.size() == 1);
    CHECK(scenario.vms[0].boot.kernel == "folder/vmlinuz");
    CHECK(scenario.vms[0].ram == 512 * kMiB);
    CHECK(scenario.vms[0].vmbus.max_version == 0x50003);
    CHECK(scenario.vms[0].boot.console == "stdout");
    CHECK(scenario.expect.end == ExpectedEnd::poweroff);
    CHECK(scenario.expect.deadline == 60 * sim::kSecond);
    CHECK(scenario.timing_profile == "intel-skylake-sp");
    CHECK(scenario.timing.clock_tsc_hz == 2'500'000'000);
    CHECK(scenario.timing.exit_cpuid == 460 * 400);
    CHECK(scenario.timing.clock_ps_per_code_byte == 100);
    CHECK(!scenario.boot);
}

TEST_CASE("every kind of key is read") {
    const Scenario scenario = parse(R"(
[host]
vendor = "amd"
processors = 64
ram = 4096
disable = ["nx"]
date = 1999-12-31T23:59:59+01:00
quantum = "500 ns"
code_buffer = "128 MiB"
[host.iommu]
enabled = false
iotlb_entries = 1
[host.disk]
read_latency = "1 ms"
[hypervisor]
eoi_assist = false
scheduler_slice = "1 ms"
[[vm]]
name = "one"
processors = 2
ram = "1 GiB"
kernel = "/boot/vmlinuz"
initramfs = "../i.gz"
command_line = "quiet"
console = "file:out/one.log"
vmbus.max_version = "4.1"
[[vm.disk]]
image = "a.vhd"
format = "vhd"
writable = "in-place"
[[vm.disk]]
image = "b.img"
writable = "read-only"
lun = 7
[[vm]]
name = "two"
kernel = "k"
[[console.input]]
vm = "two"
after = "re:login:$"
text = "root\n"
[[event]]
at = "3 s"
action = "remove-disk"
vm = "one"
lun = 7
[[event]]
at = "4 s"
action = "add-disk"
lun = 9
image = "c.img"
[expect]
console = ["a", "re:b+"]
absent = ["c"]
ordered = true
end = "reboot"
deadline = "2 min"
[timing]
exit.cpuid = { value = 1000, unit = "cycles" }
clock.core_hz = { value = 2_000_000_000, unit = "Hz" }
root.page = { value = 5, unit = "us", source = "measured" }
)");
    CHECK(scenario.host.vendor == Vendor::amd);
    CHECK(scenario.host.processors == 64);
    CHECK(scenario.host.ram == 4 * kGiB);
    CHECK(scenario.host.disabled(Feature::nx));
    CHECK(!scenario.host.disabled(Feature::svm));
    CHECK(scenario.host.date == 946681199);
    CHECK(!scenario.host.iommu.enabled);
    CHECK(!scenario.hypervisor->eoi_assist);
    REQUIRE(scenario.vms.size() == 2);
    CHECK(scenario.vms[0].boot.kernel == "/boot/vmlinuz");
    CHECK(scenario.vms[0].boot.initramfs == "i.gz");
    CHECK(scenario.vms[0].boot.console == "file:folder/out/one.log");
    CHECK(scenario.vms[0].vmbus.max_version == 0x40001);
    REQUIRE(scenario.vms[0].disks.size() == 2);
    CHECK(scenario.vms[0].disks[0].format == DiskFormat::vhd);
    CHECK(scenario.vms[0].disks[0].writable == DiskAccess::in_place);
    CHECK(scenario.vms[0].disks[0].lun == 0);
    CHECK(scenario.vms[0].disks[1].writable == DiskAccess::read_only);
    CHECK(scenario.vms[0].disks[1].lun == 7);
    REQUIRE(scenario.console.inputs.size() == 1);
    CHECK(scenario.console.inputs[0].text == "root\n");
    REQUIRE(scenario.events.size() == 2);
    CHECK(scenario.events[1].action == EventAction::add_disk);
    CHECK(scenario.events[1].at == 4 * sim::kSecond);
    CHECK(scenario.expect.end == ExpectedEnd::reboot);
    CHECK(scenario.expect.deadline == 120 * sim::kSecond);
    // An overridden clock counts for the profile's own cycles too.
    CHECK(scenario.timing.exit_cpuid == 1000 * 500);
    CHECK(scenario.timing.exit_hlt == 790 * 500);
    CHECK(scenario.timing.root_page == 5 * sim::kMicrosecond);
    CHECK(scenario.timing.device_disk_read == sim::kMillisecond);
    CHECK(scenario.timing_sources.size() == sim::kTimingTable.size());
    CHECK(scenario.timing_sources[0].source == "folder/test.toml:60");
    CHECK(scenario.where("vm[0].disk[1].lun").line == 34);
}

TEST_CASE("errors name the place, what was expected, what was found, and a way out") {
    CHECK(error_of("[host]\nprocessors = 2\n") ==
          "folder/test.toml:1:1: host.vendor is missing | [host] vendor: Processor and chipset "
          "vendor: VT-x and VT-d, or AMD-V. Expected \"intel\" or \"amd\".");
    CHECK(error_of(with_vm("procesors = 2")) ==
          "folder/test.toml:3:1: unknown key \"procesors\" in host | did you mean \"processors\"?");
    CHECK(error_of(with_vm("kernel = \"x\"")) ==
          "folder/test.toml:3:1: unknown key \"kernel\" in host | \"kernel\" belongs to [boot]");
    CHECK(error_of(with_vm("", "disk.image = \"x\"\n")) ==
          "folder/test.toml:8:1: vm[0].disk: expected an array of tables, found a table | write "
          "[[vm.disk]] with two brackets");
    CHECK(error_of(with_vm("processors = 65")) ==
          "folder/test.toml:3:14: host.processors: expected an integer from 1 to 64, found integer "
          "65 | ");
    CHECK(error_of(with_vm("processors = \"four\"")) ==
          "folder/test.toml:3:14: host.processors: expected an integer from 1 to 64, found string "
          "\"four\" | ");
    CHECK(error_of(with_vm("processors = -1")).find("found integer -1") != std::string::npos);
    CHECK(
        error_of(with_vm("ram = \"2 GB\"")) ==
        "folder/test.toml:3:7: host.ram: expected a size from 128 MiB to 256 GiB, a multiple of 2 "
        "MiB, found string \"2 GB\" | ");
    CHECK(error_of(with_vm("quantum = 10")) ==
          "folder/test.toml:3:11: host.quantum: expected a duration from 100 ns to 1 ms, found "
          "integer 10 | ");
    CHECK(
        error_of("[host]\nvendor = \"intle\"\n") ==
        "folder/test.toml:2:10: host.vendor: expected \"intel\" or \"amd\", found string \"intle\" "
        "| did you mean \"intel\"?");
    CHECK(error_of(with_vm("date = 12:00:00")) ==
          "folder/test.toml:3:8: host.date: expected a date and time such as 2024-01-01T00:00:00Z, "
          "found date or time 12:00:00 | ");
    CHECK(error_of(with_vm("disable = [\"vmx\", 3]")) ==
          "folder/test.toml:3:19: host.disable[1]: expected an array of \"vmx\", \"svm\", \"nx\", "
          "\"slat\", \"x2apic\", \"pcid\" or \"invpcid\", found integer 3 | ");
    CHECK(error_of(with_vm("iommu = true")) ==
          "folder/test.toml:3:9: host.iommu: expected a table, found true | ");
    CHECK(error_of("[host]\nvendor = \n").starts_with("folder/test.toml:2:10: TOML syntax: "));
    CHECK(error_of("hots = 1\n") ==
          "folder/test.toml:1:1: unknown key \"hots\" | did you mean \"host\"?");
}

TEST_CASE("a processor model is one of the vendor's, and brings its timing profile") {
    CHECK(parse(with_vm()).host.model.empty());
    CHECK(parse(with_vm()).timing_profile == "intel-skylake-sp");
    const Scenario icelake = parse(with_vm("model = \"intel-icelake\""));
    CHECK(icelake.host.model == "intel-icelake");
    CHECK(icelake.timing_profile == "intel-icelake-sp");
    CHECK(
        parse(with_vm("model = \"intel-icelake\"\ntiming = \"intel-skylake-sp\"")).timing_profile ==
        "intel-skylake-sp");
    CHECK(error_of(with_vm("model = \"intel-icelak\""))
              .ends_with("| did you mean \"intel-icelake\"?"));
    CHECK(
        error_of(with_vm("model = \"amd-rome\"")) ==
        "folder/test.toml:3:9: host.model: \"amd-rome\" is not a processor of the vendor \"intel\" "
        "| it has: intel-haswell, intel-broadwell, intel-skylake, intel-cascadelake, "
        "intel-icelake");
}

TEST_CASE("contradictions between keys are found") {
    CHECK(error_of("[host]\nvendor = \"intel\"\n") ==
          "folder/test.toml: nothing would run | add [hypervisor] and [[vm]], or [boot] for a bare "
          "machine");
    CHECK(error_of("[host]\nvendor = \"intel\"\n[hypervisor]\n") ==
          "folder/test.toml:3:1: hypervisor: there is no [[vm]] for it to run | add a [[vm]] "
          "section");
    CHECK(error_of(with_vm("", "[boot]\nkernel = \"k\"\n")) ==
          "folder/test.toml:8:1: boot: a machine with [hypervisor] boots its [[vm]]s | remove "
          "[hypervisor] for a bare machine, or [boot]");
    CHECK(error_of(with_vm("disable = [\"svm\"]")) ==
          "folder/test.toml:3:11: host.disable: an Intel processor has no svm | ");
    CHECK(error_of(with_vm("disable = [\"slat\"]")).find("cannot run without slat") !=
          std::string::npos);
    CHECK(error_of(with_vm("iommu.iotlb_entries = 48")) ==
          "folder/test.toml:3:23: host.iommu.iotlb_entries: expected a power of two, found integer "
          "48 | ");
    CHECK(error_of(with_vm("disk.page_transfer = \"4095 ps\""))
              .find("host.disk.page_transfer: expected a duration from ") != std::string::npos);
    CHECK(error_of(with_vm("ram = \"512 MiB\"")) ==
          "folder/test.toml:3:7: host.ram: 512 MiB cannot hold the VMs' 512 MiB and the hypervisor "
          "| ");
    CHECK(error_of(with_vm("", "[[vm]]\nname = \"a\"\nkernel = \"k\"\n")) ==
          "folder/test.toml:9:8: vm[1].name: another VM is called \"a\" | ");
    CHECK(error_of(with_vm("", "console = \"tty\"\n"))
              .find("expected \"stdout\", \"none\" or \"file:PATH\", found \"tty\"") !=
          std::string::npos);
    CHECK(error_of(
              with_vm("", "[[vm.disk]]\nimage = \"i\"\nlun = 1\n[[vm.disk]]\nimage = \"j\"\n")) ==
          "folder/test.toml:11:1: vm[0].disk[1].lun: another disk has logical unit 1 | ");
    CHECK(error_of(with_vm("", "[[event]]\nat = \"1 s\"\naction = \"remove-disk\"\nlun = 3\n")) ==
          "folder/test.toml:11:7: event[0].lun: VM \"a\" has no disk 3 at that time | ");
    CHECK(error_of(with_vm("", "[expect]\nconsole = [\"re:(\"]\n"))
              .starts_with("folder/test.toml:9:12: expect.console[0]: \"re:(\" is not a regular "
                           "expression"));
    CHECK(
        error_of(with_vm("", "[expect]\nend = \"console\"\n")).find("needs patterns to wait for") !=
        std::string::npos);
    CHECK(error_of(with_vm("", "[[console.input]]\nvm = \"b\"\nafter = \"x\"\ntext = \"y\"\n")) ==
          "folder/test.toml:9:6: console.input[0].vm: there is no VM called \"b\" | ");
}

TEST_CASE("a virtual machine boots in the same ways as a bare one, and has test devices") {
    const Scenario scenario = parse(with_vm("", R"(
protocol = "multiboot"
modules = ["initrd.txt one two"]
command_line = "words"
[[vm.test_device]]
kind = "debug-exit"
[[vm.test_device]]
kind = "hyperv-testdev"
[[vm]]
name = "flat"
kernel = "boot.bin"
protocol = "flat"
flat = { mode = "long", load = 0x8000, registers = ["rsp=0x7000"] }
test_device = [{ kind = "debug-exit" }]
[expect]
exit_code = 3
)"));
    REQUIRE(scenario.vms.size() == 2);
    const BootConfig& boot = scenario.vms[0].boot;
    CHECK(boot.protocol == BootProtocol::multiboot);
    CHECK(boot.modules == std::vector<std::string>{"folder/initrd.txt one two"});
    CHECK(boot.command_line == "words");
    REQUIRE(scenario.vms[0].test_devices.size() == 2);
    CHECK(scenario.vms[0].test_devices[1].kind == TestDeviceKind::hyperv_testdev);
    const BootConfig& flat = scenario.vms[1].boot;
    CHECK(flat.kernel == "folder/boot.bin");
    CHECK(!flat.command_line);
    CHECK(flat.flat.mode == FlatMode::long_mode);
    CHECK(flat.flat.load == 0x8000);
    CHECK(!flat.flat.entry);
    CHECK(flat.flat.registers == std::vector<std::string>{"rsp=0x7000"});
    CHECK(scenario.test_devices.empty());
    CHECK(scenario.expect.end == ExpectedEnd::exit);
}

TEST_CASE("contradictions about what a virtual machine boots are found") {
    CHECK(error_of(with_vm("", "flat = { load = 1 }\n")) ==
          "folder/test.toml:8:8: vm[0].flat: is for protocol = \"flat\" only | ");
    CHECK(error_of(with_vm("", "protocol = \"flat\"\nflat = { registers = [\"eip=1\"] }\n"))
              .find("vm[0].flat.registers[0]: expected \"NAME=VALUE\"") != std::string::npos);
    CHECK(error_of(with_vm("", "protocol = \"linux\"\nmodules = [\"a\"]\n"))
              .find("vm[0].modules: linux takes no modules | give an initramfs") !=
          std::string::npos);
    CHECK(error_of(with_vm("", "test_device = [{ kind = \"pic\" }]\n"))
              .find("vm[0].test_device[0].kind: a virtual machine has no device of this kind") !=
          std::string::npos);
    CHECK(error_of(with_vm("", "test_device = [{ kind = \"testdev\" }, { kind = \"testdev\" }]\n"))
              .find("vm[0].test_device[1].kind: there is already one of this kind") !=
          std::string::npos);
    CHECK(error_of(with_vm("", "[[test_device]]\nkind = \"debug-exit\"\n"))
              .find("test_device[0]: is for a bare machine only | write [[vm.test_device]]") !=
          std::string::npos);
    CHECK(error_of(with_vm("", "[expect]\nexit_code = 1\n"))
              .find("add a [[vm.test_device]] of kind \"debug-exit\" to each VM") !=
          std::string::npos);
}

TEST_CASE("what a bare machine boots, its test devices and its exit code") {
    const std::string bare = "[host]\nvendor = \"intel\"\n[boot]\nkernel = \"k\"\n";
    const std::string exits = "[[test_device]]\nkind = \"debug-exit\"\n";
    const Scenario scenario =
        parse(bare + "[boot.flat]\nentry = 0x7c20\n" + exits + "[expect]\nexit_code = 7\n",
              {"boot.protocol=flat"});
    REQUIRE(scenario.boot);
    CHECK(scenario.boot->protocol == BootProtocol::flat);
    CHECK(scenario.boot->flat.load == 0x7c00);
    CHECK(scenario.boot->flat.entry == std::uint64_t{0x7c20});
    REQUIRE(scenario.test_devices.size() == 1);
    CHECK(scenario.expect.end == ExpectedEnd::exit);
    CHECK(scenario.expect.exit_code == 7u);
    CHECK(parse(bare).boot->protocol == BootProtocol::automatic);
    CHECK(parse(bare, {"host.disable=[\"x2apic\"]"}).host.disabled(Feature::x2apic));

    CHECK(error_of(bare + exits + exits).find("test_device[1].kind: there is already one") !=
          std::string::npos);
    CHECK(error_of(bare + "[expect]\nexit_code = 1\n").find("there is no device to exit by") !=
          std::string::npos);
    CHECK(error_of(bare + exits + "[expect]\nexit_code = 1\nend = \"halt\"\n")
              .find("expect.exit_code: needs the end \"exit\"") != std::string::npos);
    CHECK(error_of(bare + "initramfs = \"i\"\n", {"boot.protocol=multiboot"})
              .find("only linux and pvh take an initramfs") != std::string::npos);
    CHECK(error_of(bare + "command_line = \"a\"\n", {"boot.protocol=flat"})
              .find("a flat binary has no command line") != std::string::npos);
    CHECK(error_of(bare + "[[test_device]]\nkind = \"debug-exi\"\n")
              .find("did you mean \"debug-exit\"?") != std::string::npos);
}

TEST_CASE("the example of a duplicate logical unit by default position") {
    const Scenario scenario =
        parse(with_vm("", "[[vm.disk]]\nimage = \"i\"\nlun = 5\n[[vm.disk]]\nimage = \"j\"\n"));
    CHECK(scenario.vms[0].disks[0].lun == 5);
    CHECK(scenario.vms[0].disks[1].lun == 1);
}

TEST_CASE("timing profiles and overrides") {
    CHECK(error_of(with_vm("timing = \"intel-skylak-sp\""))
              .starts_with("folder/test.toml:3:10: host.timing: no timing profile is called "
                           "\"intel-skylak-sp\" | did you mean \"intel-skylake-sp\"? there are: "));
    CHECK(error_of(with_vm("timing = \"no/such.toml\""))
              .starts_with("cannot read folder/no/such.toml: No such file or directory | "));
    CHECK(error_of(with_vm("", "[timing]\nexit.cpiud = { value = 1, unit = \"ns\" }\n")) ==
          "folder/test.toml:9:6: unknown timing entry \"exit.cpiud\" | did you mean "
          "\"exit.cpuid\"?");
    CHECK(error_of(with_vm("", "[timing]\nexit.cpuid = 5\n")) ==
          "folder/test.toml:9:14: exit.cpuid: expected a table { value, unit, source }, found "
          "integer 5 | ");
    CHECK(error_of(with_vm("", "[timing]\nexit.cpuid = { value = 5, unit = \"Hz\" }\n")) ==
          "folder/test.toml:9:34: exit.cpuid.unit: expected \"cycles\", \"ps\", \"ns\", \"us\" or "
          "\"ms\", found string \"Hz\" | ");
    CHECK(error_of(with_vm("", "[timing]\nclock.tsc_hz = { value = 0, unit = \"Hz\" }\n"))
              .find("expected an integer from 1 to 100000000000, found integer 0") !=
          std::string::npos);
    CHECK(
        error_of(with_vm("", "[timing]\nexit.cpuid = { value = 900000000000000, unit = \"ms\" }\n"))
            .find("a cost of at most 1000 s") != std::string::npos);
}

TEST_CASE("--set replaces and adds values") {
    const Scenario scenario = parse(
        with_vm(), {"host.processors=4", "vm[0].ram=1 GiB", "host.iommu.enabled=false",
                    "expect.console=[\"x\", \"y\"]", "timing.exit.hlt={value=3, unit=\"ns\"}"});
    CHECK(scenario.host.processors == 4);
    CHECK(scenario.vms[0].ram == kGiB);
    CHECK(!scenario.host.iommu.enabled);
    CHECK(scenario.expect.console == std::vector<std::string>{"x", "y"});
    CHECK(scenario.timing.exit_hlt == 3 * sim::kNanosecond);
    CHECK(error_of(with_vm(), {"host.processors=65"}) ==
          "--set host.processors=65: host.processors: expected an integer from 1 to 64, found "
          "integer 65 | ");
    CHECK(error_of(with_vm(), {"host.procesors=6"}) ==
          "--set host.procesors=6: unknown key \"procesors\" in host | did you mean "
          "\"processors\"?");
    CHECK(error_of(with_vm(), {"timing.exit.cpiud={value=3, unit=\"ns\"}"})
              .starts_with("--set timing.exit.cpiud={value=3, unit=\"ns\"}: unknown timing entry "
                           "\"exit.cpiud\" | did you mean \"exit.cpuid\"?"));
    CHECK(error_of(with_vm(), {"timing.exti.cpuid={value=3, unit=\"ns\"}"})
              .find("=3, unit=\"ns\"}: unknown timing entry \"exti\" | did you mean \"exit\"?") !=
          std::string::npos);
    CHECK(error_of(with_vm(), {"timing.clock.tsc_hz={value=10000000, unit=\"Hz\"}"})
              .find("clock.tsc_hz: expected a frequency above 10 MHz, ") != std::string::npos);
    CHECK(error_of(with_vm(), {"timing.device.disk_page={value=0, unit=\"ns\"}"})
              .find("device.disk_page: expected a duration from 4096 ps to 4096 us") !=
          std::string::npos);
    CHECK(error_of(with_vm(), {"vm[1].ram=6"})
              .starts_with("--set vm[1].ram=6: the scenario has no vm[1]"));
    CHECK(error_of(with_vm(), {"host"}).starts_with("--set host: expected KEY=VALUE"));
    CHECK(error_of(with_vm(), {"vm[x].ram=6"}).find("no index in its brackets") !=
          std::string::npos);
    CHECK(error_of(with_vm(), {"host.vendor.x=6"}).find("vendor is not a table") !=
          std::string::npos);
}

TEST_CASE("missing files are found, with the command that makes the guest's") {
    ReadOptions options;
    options.profile_folders = {kScenarios / "profiles"};
    std::string text = with_vm();
    text.replace(text.find("vmlinuz"), 7, "../.cache/guest/none");
    try {
        parse_scenario(text, "folder/test.toml", options);
        FAIL("no error");
    } catch (const sim::ConfigError& error) {
        CHECK(error.where().line == 7);
        CHECK(error.hint().find("scripts/make-guest") != std::string::npos);
    }
    CHECK_THROWS_AS(read_scenario("no/such/scenario.toml"), sim::ConfigError);
    CHECK_THROWS_AS(read_scenario(kScenarios), sim::ConfigError);
}

TEST_CASE("every scenario and profile in the repository is right") {
    std::size_t scenarios = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kScenarios)) {
        if (entry.path().extension() != ".toml") continue;
        CAPTURE(entry.path());
        ReadOptions options;
        options.check_files = false;
        CHECK_NOTHROW(read_scenario(entry.path(), options));
        ++scenarios;
    }
    CHECK(scenarios >= 5);
    std::size_t profiles = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kScenarios / "profiles")) {
        CAPTURE(entry.path());
        CHECK(parse(with_vm("timing = \"" + entry.path().string() + "\"")).timing_profile ==
              entry.path().stem());
        ++profiles;
    }
    CHECK(profiles >= 2);
}

TEST_CASE("explaining") {
    CHECK(
        explain("host.quantum") ==
        "[host]\n  quantum = a duration from 100 ns to 1 ms, default \"10us\"\n"
        "      How far a processor may run ahead of the others. What one does is seen by the others"
        "\n      within this time.\n");
    CHECK(explain("vm.disk").starts_with("[[vm.disk]]\n"));
    CHECK(explain("timing.exit.cpuid") ==
          "  exit.cpuid (cycles, ps, ns, us or ms)\n      VM exit by CPUID\n");
    CHECK(explain("").find("[[console.input]]") != std::string::npos);
    CHECK_THROWS_WITH_AS(explain("host.rma"), "a scenario has no key or section \"host.rma\"",
                         sim::ConfigError);
}

TEST_CASE("docs/scenario.md is what the schema says") {
    const std::filesystem::path file =
        std::filesystem::path(HVSIM_SOURCE_DIR) / "docs" / "scenario.md";
    std::ifstream in(file, std::ios::binary);
    const std::string found(std::istreambuf_iterator<char>(in), {});
    const bool up_to_date = found == scenario_document();
    CHECK_MESSAGE(up_to_date, "run `hvsim scenario --markdown > docs/scenario.md`");
}
