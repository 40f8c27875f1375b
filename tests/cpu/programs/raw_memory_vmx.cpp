// VT-x: entries of EPT changed in memory, and controls changed by VMWRITE (SDM 3C 29.4.3, 25): by a
// modelled hypervisor, and by a program that executes the instructions.
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest.h"
#include "cpu/vmx/operation.h"
#include "tests/cpu/programs/raw_memory.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;
using namespace hvsim::cpu::vmx;

namespace {

constexpr std::uint64_t kRead = 1, kWrite = 2, kExecute = 4, kWriteBack = 6 << 3;
constexpr std::uint64_t kAll = kRead | kWrite | kExecute;

struct VmxGuest : RawGuest {
    VmxGuest() : RawGuest("intel-skylake", kAll, kWriteBack) {
        m.poke<std::uint32_t>(kControlBlock, kRevision);
        write_controls();
        write_guest();
    }
    void write_controls() {
        vmcs.write(Field::PIN_BASED_CONTROLS, kPinControls.must_be_one);
        vmcs.write(Field::PRIMARY_CONTROLS, kPrimaryControls.must_be_one | primary::kIoBitmaps |
                                                primary::kMsrBitmaps | primary::kSecondaryControls);
        vmcs.write(Field::SECONDARY_CONTROLS, secondary::kEpt | secondary::kVpid);
        vmcs.write(Field::EXIT_CONTROLS,
                   kExitControls.must_be_one | exit_control::kHostAddressSpace64);
        vmcs.write(Field::ENTRY_CONTROLS, kEntryControls.must_be_one | entry_control::kIa32eGuest |
                                              entry_control::kLoadEfer);
        vmcs.write(Field::EPT_POINTER, kTables | 3 << 3 | 6);
        vmcs.write(Field::VPID, 1);
        vmcs.write(Field::IO_BITMAP_A, kBitmaps);
        vmcs.write(Field::IO_BITMAP_B, kBitmaps + 0x1000);
        vmcs.write(Field::MSR_BITMAPS, kBitmaps + 0x2000);
        vmcs.write(Field::HOST_CR0, kCr0Fixed0);
        vmcs.write(Field::HOST_CR4, kCr4Fixed0 | cr4::kPAE);
        vmcs.write(Field::HOST_CS_SELECTOR, CODE64);
        vmcs.write(Field::HOST_TR_SELECTOR, TASK);
        vmcs.write(Field::HOST_EFER, efer::kLME | efer::kLMA);
    }
    void write_guest() {
        const Core& core = m.core();
        for (unsigned i = 0; i < engine::kSegmentCount; ++i) {
            const Segment segment = core.segment(static_cast<SegmentName>(i));
            const auto nth = [i](Field first) {
                return static_cast<Field>(static_cast<unsigned>(first) + 2 * i);
            };
            vmcs.write(nth(Field::GUEST_ES_SELECTOR), segment.selector);
            vmcs.write(nth(Field::GUEST_ES_LIMIT), segment.limit);
            vmcs.write(nth(Field::GUEST_ES_BASE), segment.base);
            vmcs.write(nth(Field::GUEST_ES_ACCESS_RIGHTS), segment.access_rights);
        }
        vmcs.write(Field::GUEST_CR0, core.cr(0));
        vmcs.write(Field::GUEST_CR3, core.cr(3));
        vmcs.write(Field::GUEST_CR4, core.cr(4) | cr4::kVMXE);
        vmcs.write(Field::GUEST_EFER, core.efer());
        vmcs.write(Field::GUEST_GDTR_BASE, core.gdtr().base);
        vmcs.write(Field::GUEST_GDTR_LIMIT, core.gdtr().limit);
        vmcs.write(Field::GUEST_IDTR_BASE, core.idtr().base);
        vmcs.write(Field::GUEST_IDTR_LIMIT, core.idtr().limit);
        vmcs.write(Field::GUEST_DR7, 0x400);
        vmcs.write(Field::GUEST_RSP, STACK);
        vmcs.write(Field::GUEST_RFLAGS, rflags::kReserved1);
        vmcs.write(Field::VMCS_LINK_POINTER, ~std::uint64_t{0});
    }
    /// Enters at a label and runs until the exit; its reason.
    ExitReason run_from(const char* label) {
        vmcs.write(Field::GUEST_RIP, m.program[label]);
        const EntryResult entry = vmcs.enter(!launched);
        CAPTURE(std::string(entry.failure.demand));
        REQUIRE(entry.entered());
        launched = true;
        run();
        return static_cast<ExitReason>(vmcs.read(Field::EXIT_REASON));
    }
    /// INVEPT.
    void invept() { m.core().invalidate_nested(); }

    Guest vmcs{kControlBlock, m.core(), *this};
    bool launched = false;
};

}  // namespace

TEST_CASE("VT-x: another page in an EPT leaf is seen after INVEPT, not before, and alone") {
    VmxGuest g;
    REQUIRE(g.run_from("read_pages") == ExitReason::vmcall);
    CHECK(g.changed_pages() == 0);
    constexpr unsigned kChanged = 5;
    g.set_leaf(PAGES + kChanged * 0x1000, kOtherPage | kAll | kWriteBack);
    REQUIRE(g.run_from("read_pages") == ExitReason::vmcall);
    CHECK(g.changed_pages() == 0);
    g.invept();
    REQUIRE(g.run_from("read_pages") == ExitReason::vmcall);
    CHECK(g.changed_pages() == 1 << kChanged);
    CHECK(g.m.result(kChanged) == kOtherMark);
    // The page itself was not touched.
    CHECK(g.m.peek(PAGES + kChanged * 0x1000) == mark(kChanged));
}

TEST_CASE("VT-x: code of another page runs after INVEPT, not before") {
    VmxGuest g;
    REQUIRE(g.run_from("call_page") == ExitReason::vmcall);
    CHECK(g.m.result(20) == 0x111);
    g.set_leaf(PAGES + 0x2000, kOtherPage | kAll | kWriteBack);
    REQUIRE(g.run_from("call_page") == ExitReason::vmcall);
    CHECK(g.m.result(20) == 0x111);
    g.invept();
    REQUIRE(g.run_from("call_page") == ExitReason::vmcall);
    CHECK(g.m.result(20) == 0x222);
}

TEST_CASE("VT-x: a permission taken from an EPT leaf makes EPT violations after INVEPT") {
    // Qualification (SDM 3C table 28-7): access in bits 2:0, permissions in 5:3, 8:7 a linear
    // address and its translation.
    constexpr std::uint64_t kLinear = 3 << 7;
    struct Row {
        const char* label;
        std::uint64_t address, left, qualification;
        const char* at;
    };
    static constexpr Row kRows[] = {
        {"write_page", PAGES + 0x1008, kRead | kExecute, kWrite | kRead << 3 | kExecute << 3,
         "write_page"},
        {"read_page", PAGES + 0x1010, 0, kRead, "read_page"},
        {"call_page", PAGES + 0x2008, kRead | kWrite, kExecute | kRead << 3 | kWrite << 3, nullptr},
    };
    for (const Row& row : kRows) {
        CAPTURE(std::string(row.label));
        VmxGuest g;
        REQUIRE(g.run_from(row.label) == ExitReason::vmcall);
        const std::uint64_t before = g.leaf(row.address);
        g.set_leaf(row.address, (before & ~kAll) | row.left);
        CHECK(g.run_from(row.label) == ExitReason::vmcall);
        g.invept();
        REQUIRE(g.run_from(row.label) == ExitReason::ept_violation);
        CHECK(g.vmcs.read(Field::EXIT_QUALIFICATION) == (row.qualification | kLinear));
        CHECK(g.vmcs.read(Field::GUEST_PHYSICAL_ADDRESS) == row.address);
        CHECK(g.vmcs.read(Field::GUEST_LINEAR_ADDRESS) == row.address);
        CHECK(g.vmcs.read(Field::GUEST_RIP) ==
              (row.at != nullptr ? g.m.program[row.at] : row.address));
        // A violation drops what it has cached: giving the permission back needs no INVEPT.
        g.set_leaf(row.address, before);
        CHECK(g.run_from(row.label) == ExitReason::vmcall);
    }
}

TEST_CASE("VT-x: a reserved bit in an EPT leaf is a misconfiguration after INVEPT") {
    VmxGuest g;
    REQUIRE(g.run_from("read_page") == ExitReason::vmcall);
    g.set_leaf(PAGES + 0x1000, (PAGES + 0x1000) | kAll | 7 << 3);  // no such memory type
    CHECK(g.run_from("read_page") == ExitReason::vmcall);
    g.invept();
    REQUIRE(g.run_from("read_page") == ExitReason::ept_misconfiguration);
    CHECK(g.vmcs.read(Field::GUEST_PHYSICAL_ADDRESS) == PAGES + 0x1010);
}

TEST_CASE("VT-x: a control that VMWRITE changes is in force from the next entry") {
    VmxGuest g;
    Action rdtsc;
    rdtsc.kind = ActionKind::rdtsc;
    REQUIRE(g.run_from("read_counter") == ExitReason::vmcall);
    const std::uint64_t before = g.vmcs.read(Field::PRIMARY_CONTROLS);
    g.vmcs.write(Field::PRIMARY_CONTROLS, before | primary::kRdtscExiting);
    CHECK_FALSE(g.vmcs.intercepts(rdtsc));
    REQUIRE(g.run_from("read_counter") == ExitReason::rdtsc);
    CHECK(g.vmcs.read(Field::GUEST_RIP) == g.m.program["read_counter"]);
    CHECK(g.vmcs.read(Field::EXIT_INSTRUCTION_LENGTH) == 2);
    g.vmcs.write(Field::PRIMARY_CONTROLS, before);
    CHECK(g.vmcs.intercepts(rdtsc));
    CHECK(g.run_from("read_counter") == ExitReason::vmcall);
}

TEST_CASE("VT-x: the program's own INVEPT, INVVPID and VMWRITE decide what its guest sees") {
    RawGuest g("intel-skylake", kAll, kWriteBack, "raw_invept");
    Operation operation(g.m.core());
    g.m.core().set_virtualization(&operation);
    constexpr unsigned kChanged = 5;
    constexpr std::uint64_t kLeaf = PAGES + kChanged * 0x1000;
    struct Step {
        std::uint16_t port;
        ExitReason reason;
        std::uint64_t changed;
        bool operator==(const Step&) const = default;
    };
    std::vector<Step> steps;
    g.m.bus.on_port_write = [&](std::uint16_t port, std::uint32_t reason) {
        steps.push_back({port, static_cast<ExitReason>(reason & 0xff), g.changed_pages()});
        if (port == 0x50) g.set_leaf(kLeaf, kOtherPage | kAll | kWriteBack);
        if (port == 0x54) g.set_leaf(kLeaf, kLeaf | kAll | kWriteBack);
    };
    CHECK(g.m.run() == End::halted);
    INFO(g.m.story());
    CHECK(g.m.result(30) == 0);  // RFLAGS of an instruction that failed
    constexpr std::uint64_t kMoved = 1 << kChanged;
    CHECK(steps == std::vector<Step>{{0x50, ExitReason::vmcall, 0},
                                     {0x51, ExitReason::vmcall, 0},
                                     {0x52, ExitReason::vmcall, 0},
                                     {0x53, ExitReason::vmcall, 0},
                                     {0x54, ExitReason::vmcall, kMoved},
                                     {0x55, ExitReason::vmcall, 0},
                                     {0x56, ExitReason::vmcall, 0},
                                     {0x57, ExitReason::rdtsc, 0}});
}
