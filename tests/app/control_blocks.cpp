// Dumps of control blocks: when they are taken, what the file holds, and how it is printed.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "app/control_block_dump.h"
#include "app/control_block_file.h"
#include "cpu/native_core.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

sim::TraceNames names() {
    sim::TraceNames names;
    names.add(sim::EventKind::kVmExit, 0, 10, "cpuid");
    names.add(sim::EventKind::kVmExit, 0, 12, "hlt");
    return names;
}
DumpCondition parse(const std::string& text) {
    return parse_dump_condition(text, names());
}

struct Bus final : cpu::Bus {
    std::uint64_t read_memory(std::uint64_t, unsigned, sim::Time, sim::Duration&) override {
        return 0;
    }
    void write_memory(std::uint64_t, unsigned, std::uint64_t, sim::Time, sim::Duration&) override {}
    std::uint32_t read_io(std::uint16_t, unsigned, sim::Time, sim::Duration&) override { return 0; }
    void write_io(std::uint16_t, unsigned, std::uint32_t, sim::Time, sim::Duration&) override {}
};

struct Block final : cpu::ControlBlock {
    bool is_vmcs() const noexcept override { return true; }
    std::uint64_t address() const noexcept override { return 0x5000; }
    std::uint64_t exit_reason() const override { return reason; }
    std::vector<cpu::FieldValue> fields() const override {
        return {{"PIN_BASED_CONTROLS", 0x4000, 4, 0x29},
                {"EXIT_REASON", 0x4402, 4, reason},
                {"GUEST_RIP", 0x681e, 8, rip}};
    }
    std::uint64_t reason = 10, rip = 0x1000;
};

/// A dump into a file that is gone at the end, and the core whose exits it sees.
struct Bench {
    explicit Bench(std::initializer_list<const char*> conditions) {
        std::vector<DumpCondition> parsed;
        for (const char* text : conditions) parsed.push_back(parse(text));
        dump.emplace(path, "test.toml", names(), std::move(parsed));
    }
    ~Bench() { std::filesystem::remove(path); }

    void exit(std::uint64_t reason, std::uint64_t rip = 0x1000, sim::Time at = 0) {
        block.reason = reason;
        block.rip = rip;
        core.set_now(at);
        dump->on_exit(core, block);
    }
    std::vector<DumpedBlock> blocks() {
        dump->finish();
        return read_control_blocks(path);
    }
    std::string printed(const BlockSelection& selection) {
        std::ostringstream out;
        print_control_blocks(blocks(), selection, out);
        return out.str();
    }

    std::filesystem::path path =
        std::filesystem::temp_directory_path() / fmt::format("hvsim-test-{}-blocks", ::getpid());
    sim::Ram ram{1 << 20};
    Bus bus;
    sim::TimingProfile timing;
    sim::Recorder recorder;
    cpu::NativeCore core{
        ram, bus, timing, recorder, {&cpu::default_model(cpu::Vendor::intel), {0, 2, 1}}};
    Block block;
    std::optional<ControlBlockDump> dump;
};

}  // namespace

TEST_CASE("conditions are read as people write them") {
    using Kind = DumpCondition::Kind;
    CHECK(parse("failed").kind == Kind::failed_entry);
    CHECK(parse("12").kind == Kind::exit_number);
    CHECK(parse("12").number == 12);
    CHECK(parse("hlt").kind == Kind::exit_reason);
    CHECK(parse("hlt").reason == 12);
    CHECK(parse("hlt").number == 1);
    CHECK(parse("cpuid:3@p2vp1").number == 3);
    CHECK(parse("cpuid:3@p2vp1").partition == 2);
    CHECK(parse("cpuid:3@p2vp1").vp == 1);
    CHECK(parse("1@lp3").lp == 3);
    CHECK_FALSE(parse("1@lp3").partition);
    CHECK(parse("1.5 ms").kind == Kind::time);
    CHECK(parse("1.5 ms").time == 1500 * sim::kMicrosecond);
    for (const char* wrong : {"", "0", "cpuyd", "cpuid:", "cpuid:0", "cpuid:1x", "1@", "1@vp0",
                              "1@p2vp", "1@lp0x", "-1"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(parse(wrong), sim::ConfigError);
    }
}

TEST_CASE("each condition makes one dump, of the exit that it names") {
    Bench b{"2", "hlt:2", "5 us", "cpuid@lp7"};
    b.exit(10, 1);
    b.exit(12, 2);
    b.exit(12, 3);
    b.exit(12, 4, 6 * sim::kMicrosecond);
    b.exit(12, 5, 7 * sim::kMicrosecond);
    const auto blocks = b.blocks();
    REQUIRE(blocks.size() == 3);
    CHECK(blocks[0].occasion == "exit 2, hlt");
    CHECK(blocks[0].wanted == "2");
    CHECK(blocks[1].occasion == "exit 3, hlt");
    CHECK(blocks[1].wanted == "hlt:2");
    CHECK(blocks[2].time == "0.000006000000 s");
    CHECK(blocks[2].processor == "lp0 p2vp1");
    CHECK(blocks[2].is_vmcs);
    CHECK(blocks[2].address == 0x5000);
    REQUIRE(blocks[2].fields.size() == 3);
    CHECK(blocks[2].fields[0].name == "PIN_BASED_CONTROLS");
    CHECK(blocks[2].fields[0].meaning == "external-interrupt exiting, NMI exiting, virtual NMIs");
    CHECK(blocks[2].fields[2].value == 4);
    CHECK(b.dump->missed() == std::vector<std::string>{"cpuid@lp7"});
}

TEST_CASE("a failed entry is dumped, and is no exit") {
    Bench b{"failed", "1"};
    b.dump->on_failed_entry(b.core, b.block);
    b.dump->on_failed_entry(b.core, b.block);
    b.exit(10);
    const auto blocks = b.blocks();
    REQUIRE(blocks.size() == 2);
    CHECK(blocks[0].occasion == "failed entry");
    CHECK(blocks[1].occasion == "exit 1, cpuid");
}

TEST_CASE("dumps are printed whole, by field or as differences") {
    Bench b{"1", "2", "3"};
    b.exit(10, 0x1000);
    b.exit(10, 0x1002);
    b.exit(12, 0x1004);
    const std::string whole = b.printed({});
    CHECK(whole.find("dump 1: VMCS at 0x5000, exit 1, cpuid, 0.000000000000 s, lp0 p2vp1\n"
                     "  controls\n"
                     "    PIN_BASED_CONTROLS  0x4000          0x00000029  external-interrupt "
                     "exiting, NMI exiting, virtual NMIs\n"
                     "  exit information\n"
                     "    EXIT_REASON         0x4402          0x0000000a  cpuid\n"
                     "  guest state\n"
                     "    GUEST_RIP           0x681e  0x0000000000001000\n\n") == 0);
    const std::string differences = b.printed({2, true, ""});
    CHECK(differences ==
          "dump 2: VMCS at 0x5000, exit 2, cpuid, 0.000000000000 s, lp0 p2vp1\n"
          "  differences from dump 1\n"
          "  guest state\n"
          "    GUEST_RIP           0x681e  0x0000000000001002  was 0x0000000000001000\n");
    CHECK(b.printed({3, false, "REASON"}) ==
          "dump 3: VMCS at 0x5000, exit 3, hlt, 0.000000000000 s, lp0 p2vp1\n"
          "  exit information\n"
          "    EXIT_REASON         0x4402          0x0000000c  hlt\n");
}

TEST_CASE("a file cut at any line, or with a line that no dump has, is refused") {
    Bench b{"1", "2"};
    b.exit(10);
    b.exit(12);
    b.blocks();
    std::ifstream in(b.path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    const auto write = [&](const std::vector<std::string>& kept) {
        std::ofstream out(b.path);
        for (const std::string& line : kept) out << line << '\n';
    };
    std::size_t whole = 0;
    for (std::size_t size = 0; size <= lines.size(); ++size) {
        CAPTURE(size);
        write({lines.begin(), lines.begin() + static_cast<long>(size)});
        const bool between =
            size > 0 && (size < 4 || lines[size - 1] == "[end]" || lines[size - 1].empty());
        if (between) {
            CHECK_NOTHROW(whole = read_control_blocks(b.path).size());
        } else {
            CHECK_THROWS_AS(read_control_blocks(b.path), sim::ConfigError);
        }
    }
    CHECK(whole == 2);
    for (const char* wrong : {"GUEST_RIP", "GUEST_RIP 0x681e", "GUEST_RIP 681e 0x1", "x = y",
                              "GUEST_RIP 0x681e 0x", "GUEST_RIP 0x681e 0x1g",
                              "GUEST_RIP 0x681e 0x11111111111111111", "block = VMCS", "[dump 3]"}) {
        CAPTURE(wrong);
        std::vector<std::string> changed = lines;
        changed[9] = wrong;
        write(changed);
        CHECK_THROWS_AS(read_control_blocks(b.path), sim::ConfigError);
    }
}
