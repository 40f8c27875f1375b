// Hardware task switches (SDM 3A chapter 8).
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

// As in task_switch.S.
constexpr std::uint32_t kTaskA = 0x18, kTaskB = 0x20, kLocalTable = 0x38, kTaskShort = 0x40,
                        kTaskAbsent = 0x48, kGateAbsent = 0x50, kFlatData = 0x10, kLowData = 0x68,
                        kAbsentSegment = 0x70, kBeyond = 0x80, kDirectoryA = PAGES + 0x1000,
                        kDirectoryB = PAGES + 0x2000, kStackB = STACK - 0x400,
                        kStackHandler = STACK - 0x800, kFaults = DATA + 0x400;
constexpr std::uint32_t kAvailable = 0x89, kBusy = 0x8b;

struct TaskFault {
    const char* label;  ///< where, or nullptr: in the new task, before its first instruction
    std::uint32_t vector, error, task;
};

}  // namespace

TEST_CASE("task switches save and load, nest and return, and refuse what the manual says") {
    Machine m("task_switch", {.real_mode = true});
    CHECK(m.run() == End::halted);
    INFO(m.story());
    const auto result = [&m](unsigned index) { return m.peek<std::uint32_t>(DATA + 4 * index); };
    const auto label = [&m](const char* name) { return m.program[name]; };
    REQUIRE(m.peek<std::uint32_t>(DATA + 0x3fc) == 0x600d);

    // CALL: the callee's view.
    CHECK(result(8) == kTaskB);
    CHECK((result(9) & rflags::kNT) != 0);
    CHECK(result(10) == kTaskA);
    CHECK(result(11) == 0xbbbb0001);
    CHECK(result(12) == kStackB);
    CHECK((result(13) & cr0::kTS) != 0);
    CHECK(result(14) == kBusy);
    CHECK(result(15) == kBusy);
    // And back.
    CHECK(result(0) == 0xaaaa0001);
    CHECK((result(1) & cr0::kTS) != 0);
    CHECK(result(2) == kBusy);
    CHECK(result(3) == kAvailable);
    CHECK(result(4) == label("after_call"));
    CHECK(result(5) == label("after_iret"));
    CHECK((result(6) & rflags::kNT) == 0);
    CHECK((result(7) & rflags::kNT) == 0);
    // Through the task gate it goes on where it was.
    CHECK(result(16) == 0xbbbb0002);
    CHECK((result(17) & rflags::kNT) != 0);
    // JMP.
    CHECK((result(21) & rflags::kNT) == 0);
    CHECK(result(22) == kAvailable);
    CHECK(result(18) == kBusy);
    CHECK(result(19) == kAvailable);
    CHECK((result(20) & 0xffff) == 0xbeef);
    // Task gates of the IDT.
    CHECK(result(23) == kStackHandler);
    CHECK((result(24) & 0xffff) == kTaskA);
    CHECK(result(25) == label("after_int"));
    CHECK(result(26) == ((kBeyond + 0x200) & ~3u));
    CHECK(result(27) == label("gp_here"));
    CHECK((result(28) & rflags::kRF) != 0);
    // 16 bits.
    CHECK((m.peek<std::uint16_t>(DATA + 0x100) & rflags::kNT) != 0);
    CHECK(m.peek<std::uint16_t>(DATA + 0x102) == 0x7f0);
    CHECK(m.peek<std::uint16_t>(DATA + 0x104) == 0x1616);
    CHECK(result(30) == kTaskA);
    // The T bit.
    CHECK((result(31) & 0xf00f) == 0x8000);
    CHECK((result(32) & 0x155) == 0);
    CHECK(result(33) == label("task_b"));
    // LDT and CR3.
    CHECK(result(40) == kLocalTable);
    CHECK(result(41) == kDirectoryB);
    CHECK(result(42) == result(0));
    CHECK(result(44) == kDirectoryA);
    CHECK(result(45) == 0);

    const TaskFault faults[] = {
        {"jump_busy", kGP, kTaskA, kTaskA},      {"call_absent", kNP, kTaskAbsent, kTaskA},
        {"call_short", kTS, kTaskShort, kTaskA}, {"gate_absent", kNP, kGateAbsent, kTaskA},
        {"jump_rpl", kGP, kTaskB, kTaskA},       {"iret_not_busy", kTS, kTaskB, kTaskA},
        {"iret_local", kTS, 4, kTaskA},          {nullptr, kTS, kFlatData, kTaskB},
        {nullptr, kTS, kLowData, kTaskB},        {nullptr, kTS, kTaskA, kTaskB},
        {nullptr, kNP, kAbsentSegment, kTaskB},
    };
    REQUIRE(m.peek<std::uint32_t>(kFaults) == std::size(faults));
    for (unsigned i = 0; i < std::size(faults); ++i) {
        CAPTURE(i);
        const std::uint64_t at = kFaults + 16 + 16 * i;
        CHECK(m.peek<std::uint32_t>(at) == faults[i].vector);
        CHECK(m.peek<std::uint32_t>(at + 4) == faults[i].error);
        CHECK(m.peek<std::uint32_t>(at + 8) ==
              label(faults[i].label != nullptr ? faults[i].label : "task_b"));
        CHECK(m.peek<std::uint32_t>(at + 12) == faults[i].task);
    }
}
