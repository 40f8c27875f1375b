// Every intercept: its bit, its exit code, what EXITINFO1 and EXITINFO2 say (APM 2 15.7 to 15.14).
#include <doctest/doctest.h>

#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;
using namespace hvsim::cpu::svm::test;

namespace {

constexpr std::uint64_t kRip = 0x10'0000;

Action action_of(ActionKind kind, std::uint8_t length = 2) {
    Action action;
    action.kind = kind;
    action.instruction_length = length;
    return action;
}

Action table_access(bool local, unsigned extension) {
    Action action = action_of(local ? ActionKind::ldtr_tr_access : ActionKind::gdtr_idtr_access, 3);
    action.opcode = (local ? 0x0f00u : 0x0f01u) << 8 | extension << 3;
    return action;
}

Action svm_instruction(std::uint32_t opcode) {
    Action action = action_of(ActionKind::vmx_instruction, 3);
    action.opcode = opcode;
    return action;
}

}  // namespace

TEST_CASE("an action exits with its code when its bit is set, and only then") {
    struct Row {
        ExitCode code;
        Action action;
    };
    const Row rows[] = {
        {ExitCode::NMI, action_of(ActionKind::nmi, 0)},
        {ExitCode::INIT, action_of(ActionKind::init, 0)},
        {ExitCode::SHUTDOWN, action_of(ActionKind::triple_fault, 0)},
        {ExitCode::INTR, action_of(ActionKind::external_interrupt, 0)},
        {ExitCode::CPUID, action_of(ActionKind::cpuid)},
        {ExitCode::HLT, action_of(ActionKind::hlt, 1)},
        {ExitCode::PAUSE, action_of(ActionKind::pause)},
        {ExitCode::INVD, action_of(ActionKind::invd)},
        {ExitCode::WBINVD, action_of(ActionKind::wbinvd)},
        {ExitCode::RDTSC, action_of(ActionKind::rdtsc)},
        {ExitCode::RDTSCP, action_of(ActionKind::rdtscp, 3)},
        {ExitCode::RDPMC, action_of(ActionKind::rdpmc)},
        {ExitCode::MONITOR, action_of(ActionKind::monitor, 3)},
        {ExitCode::MWAIT, action_of(ActionKind::mwait, 3)},
        {ExitCode::RSM, action_of(ActionKind::rsm)},
        {ExitCode::XSETBV, action_of(ActionKind::xsetbv, 3)},
        {ExitCode::VMMCALL, action_of(ActionKind::hypercall, 3)},
        {ExitCode::IRET, action_of(ActionKind::iret)},
        {ExitCode::PUSHF, action_of(ActionKind::pushf, 1)},
        {ExitCode::POPF, action_of(ActionKind::popf, 1)},
        {ExitCode::VMLOAD, svm_instruction(0x0f01da)},
        {ExitCode::VMSAVE, svm_instruction(0x0f01db)},
        {ExitCode::STGI, svm_instruction(0x0f01dc)},
        {ExitCode::CLGI, svm_instruction(0x0f01dd)},
        {ExitCode::SKINIT, svm_instruction(0x0f01de)},
        {ExitCode::INVLPGA, svm_instruction(0x0f01df)},
        {ExitCode::GDTR_READ, table_access(false, 0)},
        {ExitCode::IDTR_READ, table_access(false, 1)},
        {ExitCode::GDTR_WRITE, table_access(false, 2)},
        {ExitCode::IDTR_WRITE, table_access(false, 3)},
        {ExitCode::LDTR_READ, table_access(true, 0)},
        {ExitCode::TR_READ, table_access(true, 1)},
        {ExitCode::LDTR_WRITE, table_access(true, 2)},
        {ExitCode::TR_WRITE, table_access(true, 3)},
    };
    for (const Row& row : rows) {
        CAPTURE(exit_code_name(static_cast<std::uint64_t>(row.code)));
        // All other bits make no difference.
        Bench all;
        for (const FieldAt<std::uint32_t> word : {vmcb::INTERCEPT_MISC1, vmcb::INTERCEPT_MISC2})
            all.put(word, ~std::uint32_t{0});
        const FieldAt<std::uint32_t> word{static_cast<std::uint16_t>(vmcb::INTERCEPT_MISC1.offset +
                                                                     4 * intercept_word(row.code))};
        all.put(word, all.get(word) & ~intercept_mask(row.code));
        CHECK_FALSE(all.provoke(row.action));

        Bench one;
        one.intercept(row.code);
        REQUIRE(one.provoke(row.action));
        CHECK(one.exit_code() == static_cast<std::uint64_t>(row.code));
        CHECK(one.get(vmcb::EXITINFO1) == 0);
        CHECK(one.get(vmcb::EXITINFO2) == 0);
        const unsigned length = row.action.instruction_length;
        CHECK(one.get(vmcb::NRIP) == (length != 0 ? kRip + length : 0));
        CHECK(one.get(vmcb::RIP) == kRip);
        CHECK(one.exits == 1);
    }
    Bench b;
    CHECK(b.provoke(svm_instruction(0x0f01d8)));  // VMRUN is always intercepted
    CHECK(b.exit_code() == 0x80);
    CHECK_FALSE(b.provoke(svm_instruction(0x0f01c2)));  // VMLAUNCH is no instruction of AMD-V
}

TEST_CASE("control registers: MOV names its operand, the others do not") {
    for (const unsigned number : {0u, 3u, 4u, 8u}) {
        CAPTURE(number);
        Bench b;
        Action action = action_of(ActionKind::cr_read, 3);
        action.number = static_cast<std::uint8_t>(number);
        action.gpr = 11;
        CHECK_FALSE(b.provoke(action));
        b.put(vmcb::INTERCEPT_CR_WRITES, 1u << number);
        b.guest.adopt();
        CHECK_FALSE(b.provoke(action));
        action.kind = ActionKind::cr_write;
        REQUIRE(b.provoke(action));
        CHECK(b.exit_code() == 0x10 + number);
        CHECK(b.get(vmcb::EXITINFO1) == (1ull << 63 | 11));
        b.put(vmcb::INTERCEPT_CR_READS, 1u << number);
        action.kind = ActionKind::cr_read;
        REQUIRE(b.provoke(action));
        CHECK(b.exit_code() == number);
        CHECK(b.get(vmcb::EXITINFO1) == (1ull << 63 | 11));
    }
    Bench b;
    b.put(vmcb::INTERCEPT_CR_WRITES, 1);
    b.put(vmcb::INTERCEPT_CR_READS, 1);
    for (const ActionKind kind : {ActionKind::clts, ActionKind::lmsw}) {
        REQUIRE(b.provoke(action_of(kind)));
        CHECK(b.exit_code() == 0x10);
        CHECK(b.get(vmcb::EXITINFO1) == 0);
    }
    REQUIRE(b.provoke(action_of(ActionKind::smsw)));
    CHECK(b.exit_code() == 0x00);
    CHECK(b.get(vmcb::EXITINFO1) == 0);
}

TEST_CASE("the selective CR0 intercept ignores TS and MP, but not with LMSW") {
    Bench b;
    b.intercept(ExitCode::CR0_SEL_WRITE);
    Action write = action_of(ActionKind::cr_write, 3);
    const std::uint64_t cr0 = b.get(vmcb::CR0);
    write.value = cr0 ^ (cr0::kTS | cr0::kMP);
    CHECK_FALSE(b.provoke(write));
    write.value = cr0 ^ cr0::kWP;
    REQUIRE(b.provoke(write));
    CHECK(b.exit_code() == 0x65);
    CHECK_FALSE(b.provoke(action_of(ActionKind::clts)));
    Action lmsw = action_of(ActionKind::lmsw, 3);
    lmsw.value = cr0 & 0xf;
    REQUIRE(b.provoke(lmsw));
    CHECK(b.exit_code() == 0x65);
    // The plain intercept goes first.
    b.put(vmcb::INTERCEPT_CR_WRITES, 1);
    REQUIRE(b.provoke(write));
    CHECK(b.exit_code() == 0x10);
}

TEST_CASE("debug registers") {
    Bench b;
    b.put(vmcb::INTERCEPT_DR_READS, 1u << 6);
    b.put(vmcb::INTERCEPT_DR_WRITES, 1u << 7);
    Action action = action_of(ActionKind::dr_read, 3);
    action.number = 7;
    CHECK_FALSE(b.provoke(action));
    action.number = 6;
    action.gpr = 9;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x26);
    CHECK(b.get(vmcb::EXITINFO1) == 9);
    action.kind = ActionKind::dr_write;
    CHECK_FALSE(b.provoke(action));
    action.number = 7;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x37);
}

TEST_CASE("ports: every bit of the map, accesses of several ports, the map's end") {
    Bench b;
    Action action = action_of(ActionKind::io);
    action.io.size = 1;
    action.io.port = 0x3f8;
    b.ram.fill(kIoMap, 0x3000, 0xff);
    CHECK_FALSE(b.provoke(action));  // the map counts only with the intercept
    b.intercept(ExitCode::IOIO);
    b.guest.adopt();
    CHECK(b.guest.intercepts(action));
    b.ram.fill(kIoMap, 0x3000, 0);
    CHECK_FALSE(b.guest.intercepts(action));
    for (const unsigned port : {0u, 7u, 8u, 0x3f8u, 0x7fffu, 0x8000u, 0xffffu}) {
        CAPTURE(port);
        b.ram.fill(kIoMap, 0x3000, 0);
        b.ram.write(kIoMap + port / 8, static_cast<std::uint8_t>(1u << (port & 7)));
        for (const unsigned size : {1u, 2u, 4u})
            for (unsigned first = port < 4 ? 0 : port - 4; first <= port + 1 && first < 0x10000;
                 ++first) {
                action.io.port = static_cast<std::uint16_t>(first);
                action.io.size = static_cast<std::uint8_t>(size);
                REQUIRE(b.guest.intercepts(action) == (first <= port && port < first + size));
            }
    }
    // Four bytes at port 0xffff look at three bits of the third page.
    b.ram.fill(kIoMap, 0x3000, 0);
    b.ram.write(kIoMap + 0x2000, std::uint8_t{4});
    action.io.port = 0xffff;
    action.io.size = 4;
    CHECK(b.guest.intercepts(action));
    action.io.size = 2;
    CHECK_FALSE(b.guest.intercepts(action));
}

TEST_CASE("EXITINFO of IN, OUT, INS, OUTS (APM 2 15.10.2)") {
    Bench b;
    b.intercept(ExitCode::IOIO);
    b.ram.fill(kIoMap, 0x3000, 0xff);
    Action action = action_of(ActionKind::io, 2);
    action.io.port = 0x3f8;
    action.io.size = 1;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x7b);
    CHECK(b.get(vmcb::EXITINFO1) == 0x03f8'0010);  // OUT, 8 bits
    CHECK(b.get(vmcb::EXITINFO2) == kRip + 2);
    action.io.in = true;
    action.io.size = 4;
    REQUIRE(b.provoke(action));
    CHECK(b.get(vmcb::EXITINFO1) == 0x03f8'0041);  // IN, 32 bits
    action.io.size = 2;
    action.io.string = action.io.rep = true;
    action.io.address_bits = 32;
    REQUIRE(b.provoke(action));
    CHECK(b.get(vmcb::EXITINFO1) == 0x03f8'012d);  // REP INSW, 32-bit addresses, ES
    action.io.in = action.io.rep = false;
    action.io.address_bits = 64;
    action.io.segment = static_cast<std::uint8_t>(SegmentName::fs);
    REQUIRE(b.provoke(action));
    CHECK(b.get(vmcb::EXITINFO1) == 0x03f8'1224);  // OUTSW, 64-bit addresses, FS
}

TEST_CASE("MSRs: three ranges of the map, everything else exits") {
    Bench b;
    b.intercept(ExitCode::MSR);
    REQUIRE(b.guest.vmrun().entered());
    struct Row {
        std::uint32_t msr, byte;
        unsigned shift;
    };
    static constexpr Row kRows[] = {
        {0, 0, 0},
        {0x10, 4, 0},
        {0x1b, 6, 6},
        {0x1fff, 0x7ff, 6},
        {0xc0000000, 0x800, 0},
        {0xc0000080, 0x820, 0},
        {0xc0001fff, 0xfff, 6},
        {0xc0010000, 0x1000, 0},
        {0xc0010117, 0x1045, 6},
        {0xc0011fff, 0x17ff, 6},
    };
    for (const Row& row : kRows) {
        CAPTURE(row.msr);
        Action read = action_of(ActionKind::rdmsr), write = action_of(ActionKind::wrmsr);
        read.msr = write.msr = row.msr;
        b.ram.fill(kMsrMap, 0x2000, 0);
        CHECK_FALSE(b.guest.intercepts(read));
        CHECK_FALSE(b.guest.intercepts(write));
        b.ram.write(kMsrMap + row.byte, static_cast<std::uint8_t>(1u << row.shift));
        CHECK(b.guest.intercepts(read));
        CHECK_FALSE(b.guest.intercepts(write));
        b.ram.write(kMsrMap + row.byte, static_cast<std::uint8_t>(2u << row.shift));
        CHECK_FALSE(b.guest.intercepts(read));
        CHECK(b.guest.intercepts(write));
    }
    b.ram.fill(kMsrMap, 0x2000, 0);
    for (const std::uint32_t msr :
         {0x2000u, 0x40000000u, 0xbfffffffu, 0xc0002000u, 0xc000ffffu, 0xc0012000u, 0xffffffffu}) {
        CAPTURE(msr);
        Action read = action_of(ActionKind::rdmsr);
        read.msr = msr;
        CHECK(b.guest.intercepts(read));
    }
    b.ram.fill(kMsrMap, 0x2000, 0xff);
    REQUIRE(b.provoke(ActionKind::rdmsr));
    CHECK(b.exit_code() == 0x7c);
    CHECK(b.get(vmcb::EXITINFO1) == 0);
    REQUIRE(b.provoke(ActionKind::wrmsr));
    CHECK(b.get(vmcb::EXITINFO1) == 1);
}

TEST_CASE("INVLPG, INT n and task switches tell their operand") {
    Bench b;
    b.intercept(ExitCode::INVLPG);
    b.intercept(ExitCode::SWINT);
    b.intercept(ExitCode::TASK_SWITCH);
    Action action = action_of(ActionKind::invlpg, 3);
    action.linear = 0xffff'8000'0000'1234;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x79);
    CHECK(b.get(vmcb::EXITINFO1) == 0xffff'8000'0000'1234);
    action = action_of(ActionKind::software_interrupt);
    action.number = 0x80;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x75);
    CHECK(b.get(vmcb::EXITINFO1) == 0x80);
    action = action_of(ActionKind::task_switch);
    action.value = 0x48;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x7d);
    CHECK(b.get(vmcb::EXITINFO1) == 0x48);
}

TEST_CASE("exceptions: error code, address, DR6, and the bytes of the instruction") {
    Bench b;
    b.put(vmcb::INTERCEPT_EXCEPTIONS, 1u << kPF | 1u << kGP | 1u << kDB | 1u << kBP);
    b.put(vmcb::CR2, 0xaaaa);
    b.core.code = {0x48, 0x8b, 0x07};
    Action action = action_of(ActionKind::exception, 0);
    action.event = Event::fault(kUD);
    CHECK_FALSE(b.provoke(action));
    action.event = Event::page_fault(0x7fff'1234'5678, 6);
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x4e);
    CHECK(b.get(vmcb::EXITINFO1) == 6);
    CHECK(b.get(vmcb::EXITINFO2) == 0x7fff'1234'5678);
    CHECK(b.get(vmcb::CR2) == 0xaaaa);  // an intercepted #PF leaves CR2
    CHECK(b.get(vmcb::NRIP) == 0);
    std::array<std::uint8_t, 4> bytes{};
    b.ram.read_bytes(kVmcb + 0x0d0, bytes);
    CHECK(bytes == std::array<std::uint8_t, 4>{3, 0x48, 0x8b, 0x07});
    action.event = Event::page_fault(0x1000, 0x14);  // of a fetch: no bytes
    REQUIRE(b.provoke(action));
    CHECK(b.get(vmcb::INSTRUCTION_BYTE_COUNT) == 0);
    action.event = Event::fault(kGP, 0x58);
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x4d);
    CHECK(b.get(vmcb::EXITINFO1) == 0x58);
    CHECK(b.get(vmcb::EXITINFO2) == 0);
    action.event = Event::fault(kDB);
    action.event.address = 1u << 14;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x41);
    CHECK(b.get(vmcb::DR6) == (0xffff0ff0 | 1u << 14));
    action.event = {EventType::software_exception, kBP, false, 0, 1, 0};
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x43);
    CHECK(b.get(vmcb::RIP) == kRip);
    CHECK(b.get(vmcb::NRIP) == kRip + 1);
}

TEST_CASE("nested page faults: EXITINFO1, guest-physical address, instruction bytes") {
    Bench b;
    b.core.code.assign(20, 0x90);
    mmu::NestedFault fault{mmu::NestedFaultKind::npt_fault, 0xfee0'0300,
                           mmu::npt::exitinfo1::kWrite | mmu::npt::exitinfo1::kUser |
                               mmu::npt::exitinfo1::kFinalAccess};
    Action action = action_of(ActionKind::nested_page_fault, 0);
    action.fault = &fault;
    REQUIRE(b.provoke(action));
    CHECK(b.exit_code() == 0x400);
    CHECK(b.get(vmcb::EXITINFO1) == 0x1'0000'0006);
    CHECK(b.get(vmcb::EXITINFO2) == 0xfee0'0300);
    CHECK(b.get(vmcb::INSTRUCTION_BYTE_COUNT) == 15);
    fault.information = mmu::npt::exitinfo1::kInstruction;
    REQUIRE(b.provoke(action));
    CHECK(b.get(vmcb::INSTRUCTION_BYTE_COUNT) == 0);
}

TEST_CASE("next RIP wraps at 4 GiB outside 64-bit mode") {
    Bench b;
    b.intercept(ExitCode::CPUID);
    b.put(vmcb::CS_ATTRIB, 0xc9b);
    b.put(vmcb::RIP, 0xffff'ffff);
    REQUIRE(b.provoke(ActionKind::cpuid));
    CHECK(b.get(vmcb::NRIP) == 1);
}

TEST_CASE("an exit costs what its kind costs") {
    Bench b;
    b.core.profile.exit_cpuid = 100;
    b.core.profile.exit_hypercall = 7;
    b.core.profile.exit_other = 3;
    b.core.profile.entry_base = 1000;
    b.intercept(ExitCode::CPUID);
    b.intercept(ExitCode::VMMCALL);
    b.intercept(ExitCode::WBINVD);
    REQUIRE(b.provoke(ActionKind::cpuid));
    CHECK(b.core.time == 1100);
    REQUIRE(b.provoke(ActionKind::hypercall));
    CHECK(b.core.time == 2107);
    REQUIRE(b.provoke(ActionKind::wbinvd));
    CHECK(b.core.time == 3110);
}
