// Layout of the VMCB: golden offsets, exit codes and bits (APM 2 appendices B and C).
#include <doctest/doctest.h>

#include <iterator>

#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;
using namespace hvsim::cpu::svm::test;

TEST_CASE("fields lie where appendix B says") {
    struct Golden {
        const char* name;
        unsigned offset, width;
    };
    // Control area (table B-1), then state save area (table B-2) with 0x400 added.
    static constexpr Golden kGolden[] = {
        {"INTERCEPT_CR_READS", 0x000, 2},
        {"INTERCEPT_CR_WRITES", 0x002, 2},
        {"INTERCEPT_DR_READS", 0x004, 2},
        {"INTERCEPT_DR_WRITES", 0x006, 2},
        {"INTERCEPT_EXCEPTIONS", 0x008, 4},
        {"INTERCEPT_MISC1", 0x00c, 4},
        {"INTERCEPT_MISC2", 0x010, 4},
        {"INTERCEPT_MISC3", 0x014, 4},
        {"PAUSE_FILTER_THRESHOLD", 0x03c, 2},
        {"PAUSE_FILTER_COUNT", 0x03e, 2},
        {"IOPM_BASE_PA", 0x040, 8},
        {"MSRPM_BASE_PA", 0x048, 8},
        {"TSC_OFFSET", 0x050, 8},
        {"GUEST_ASID", 0x058, 4},
        {"TLB_CONTROL", 0x05c, 1},
        {"VINTR", 0x060, 8},
        {"INTERRUPT_SHADOW", 0x068, 8},
        {"EXITCODE", 0x070, 8},
        {"EXITINFO1", 0x078, 8},
        {"EXITINFO2", 0x080, 8},
        {"EXITINTINFO", 0x088, 8},
        {"NESTED_CONTROL", 0x090, 8},
        {"AVIC_APIC_BAR", 0x098, 8},
        {"GHCB_PA", 0x0a0, 8},
        {"EVENTINJ", 0x0a8, 8},
        {"N_CR3", 0x0b0, 8},
        {"VIRTUAL_EXTENSIONS", 0x0b8, 8},
        {"CLEAN", 0x0c0, 4},
        {"NRIP", 0x0c8, 8},
        {"INSTRUCTION_BYTE_COUNT", 0x0d0, 1},
        {"AVIC_BACKING_PAGE", 0x0e0, 8},
        {"AVIC_LOGICAL_TABLE", 0x0f0, 8},
        {"AVIC_PHYSICAL_TABLE", 0x0f8, 8},
        {"VMSA_POINTER", 0x108, 8},
        {"ES_SELECTOR", 0x400, 2},
        {"ES_ATTRIB", 0x402, 2},
        {"ES_LIMIT", 0x404, 4},
        {"ES_BASE", 0x408, 8},
        {"CS_SELECTOR", 0x410, 2},
        {"SS_SELECTOR", 0x420, 2},
        {"DS_SELECTOR", 0x430, 2},
        {"FS_SELECTOR", 0x440, 2},
        {"GS_SELECTOR", 0x450, 2},
        {"GDTR_LIMIT", 0x464, 4},
        {"GDTR_BASE", 0x468, 8},
        {"LDTR_SELECTOR", 0x470, 2},
        {"IDTR_LIMIT", 0x484, 4},
        {"IDTR_BASE", 0x488, 8},
        {"TR_SELECTOR", 0x490, 2},
        {"TR_BASE", 0x498, 8},
        {"CPL", 0x4cb, 1},
        {"EFER", 0x4d0, 8},
        {"CR4", 0x548, 8},
        {"CR3", 0x550, 8},
        {"CR0", 0x558, 8},
        {"DR7", 0x560, 8},
        {"DR6", 0x568, 8},
        {"RFLAGS", 0x570, 8},
        {"RIP", 0x578, 8},
        {"RSP", 0x5d8, 8},
        {"S_CET", 0x5e0, 8},
        {"SSP", 0x5e8, 8},
        {"ISST_ADDR", 0x5f0, 8},
        {"RAX", 0x5f8, 8},
        {"STAR", 0x600, 8},
        {"LSTAR", 0x608, 8},
        {"CSTAR", 0x610, 8},
        {"SFMASK", 0x618, 8},
        {"KERNEL_GS_BASE", 0x620, 8},
        {"SYSENTER_CS", 0x628, 8},
        {"SYSENTER_ESP", 0x630, 8},
        {"SYSENTER_EIP", 0x638, 8},
        {"CR2", 0x640, 8},
        {"G_PAT", 0x668, 8},
        {"DBGCTL", 0x670, 8},
        {"BR_FROM", 0x678, 8},
        {"BR_TO", 0x680, 8},
        {"LAST_EXCEPTION_FROM", 0x688, 8},
        {"LAST_EXCEPTION_TO", 0x690, 8},
        {"DEBUG_EXTENDED_CONFIG", 0x698, 8},
        {"SPEC_CTRL", 0x6e0, 8},
    };
    for (const Golden& golden : kGolden) {
        CAPTURE(golden.name);
        CHECK(field_name(static_cast<std::uint16_t>(golden.offset)) == golden.name);
        bool found = false;
        for (const FieldDescription& row : kFieldTable)
            if (row.offset == golden.offset) {
                found = true;
                CHECK(row.width == golden.width);
                CHECK(row.table == (golden.offset < 0x400 ? "B-1" : "B-2"));
            }
        CHECK(found);
    }
    // Only the segments' inner fields are not spelt out above: 10 segments of 4, 16 named.
    CHECK(kFieldTable.size() == std::size(kGolden) + 40 - 16);
    CHECK(field_name(0x001).empty());
    CHECK(field_name(0x0d1).empty());
}

TEST_CASE("exit codes have their numbers, names and intercept bits") {
    CHECK(static_cast<std::uint64_t>(ExitCode::VINTR) == 0x64);
    CHECK(static_cast<std::uint64_t>(ExitCode::IOIO) == 0x7b);
    CHECK(static_cast<std::uint64_t>(ExitCode::MSR) == 0x7c);
    CHECK(static_cast<std::uint64_t>(ExitCode::SHUTDOWN) == 0x7f);
    CHECK(static_cast<std::uint64_t>(ExitCode::VMMCALL) == 0x81);
    CHECK(static_cast<std::uint64_t>(ExitCode::XSETBV) == 0x8d);
    CHECK(static_cast<std::uint64_t>(ExitCode::NPF) == 0x400);
    CHECK(exit_code_name(0x400) == "VMEXIT_NPF");
    CHECK(exit_code_name(~0ull) == "VMEXIT_INVALID");
    CHECK(exit_code_name(0x03) == "VMEXIT_CR0_READ");
    CHECK(exit_code_name(0x18) == "VMEXIT_CR8_WRITE");
    CHECK(exit_code_name(0x37) == "VMEXIT_DR0_WRITE");
    CHECK(exit_code_name(0x4e) == "VMEXIT_EXCP0");
    CHECK(exit_code_name(0x500).empty());
    CHECK(intercept_word(ExitCode::INTR) == 0);
    CHECK(intercept_mask(ExitCode::INTR) == 1u);
    CHECK(intercept_mask(ExitCode::SHUTDOWN) == 1u << 31);
    CHECK(intercept_word(ExitCode::VMRUN) == 1);
    CHECK(intercept_mask(ExitCode::VMMCALL) == 2u);
    CHECK(intercept_mask(ExitCode::XSETBV) == 1u << 13);
    CHECK(intercept_word(ExitCode::INVLPGB) == 2);
}

TEST_CASE("segment attributes are bits 55:52 and 47:40 of the descriptor") {
    CHECK(rights_from_attrib(0xa9b) == 0xa09b);
    CHECK(attrib_from_rights(0xa09b) == 0xa9b);
    CHECK(attrib_from_rights(0x1c093) == 0xc13);  // unusable: not present
    CHECK(rights_from_attrib(0xc13) == 0x1c013);
    for (std::uint32_t attributes = 0; attributes < 0x1000; ++attributes)
        REQUIRE(attrib_from_rights(rights_from_attrib(static_cast<std::uint16_t>(attributes))) ==
                attributes);
}

TEST_CASE("VMRUN reads the state where the manual puts it, and #VMEXIT writes it there") {
    Bench b;
    const auto raw = [&b](unsigned offset, auto value) { b.ram.write(kVmcb + offset, value); };
    const auto at = [&b](unsigned offset) {
        std::uint64_t value = 0;
        b.ram.read(kVmcb + offset, value);
        return value;
    };
    raw(0x400, std::uint64_t{0x0000'ffff'0c93'0023});  // ES: limit 0xffff, attributes, selector
    raw(0x408, std::uint64_t{0x1'2345});
    raw(0x464, std::uint32_t{0x7f});
    raw(0x468, std::uint64_t{0xffff'8000'0000'1000});
    raw(0x484, std::uint32_t{0xfff});
    raw(0x488, std::uint64_t{0xffff'8000'0000'2000});
    raw(0x4cb, std::uint8_t{3});
    raw(0x570, std::uint64_t{0x246});
    raw(0x578, std::uint64_t{0xffff'ffff'8100'0000});
    raw(0x5d8, std::uint64_t{0x5555});
    raw(0x5f8, std::uint64_t{0x6666});
    raw(0x640, std::uint64_t{0x7777});
    raw(0x068, std::uint64_t{1});
    b.intercept(ExitCode::CPUID);
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.core.guest_mode == &b.guest);
    CHECK(b.core.segment(SegmentName::es) == Segment{0x23, 0xffff, 0x1'2345, 0xc093});
    CHECK(b.core.segment(SegmentName::cs) == Segment{8, 0xffffffff, 0, 0xa09b});
    CHECK(b.core.cpl() == 3);  // the VMCB's CPL, not SS's DPL of 0
    CHECK(b.core.gdtr() == TableRegister{0xffff'8000'0000'1000, 0x7f});
    CHECK(b.core.idtr() == TableRegister{0xffff'8000'0000'2000, 0xfff});
    CHECK(b.core.rflags() == 0x246);
    CHECK(b.core.rip() == 0xffff'ffff'8100'0000);
    CHECK(b.core.gpr(engine::kRsp) == 0x5555);
    CHECK(b.core.gpr(engine::kRax) == 0x6666);
    CHECK(b.core.cr(2) == 0x7777);
    CHECK(b.core.cr(3) == 0x1000);
    CHECK(b.core.shadow);

    b.core.set_rip(0xffff'ffff'8100'0010);
    b.core.set_gpr(engine::kRax, 0x1111);
    b.core.set_gpr(engine::kRsp, 0x2222);
    b.core.set_cr(2, 0x3333);
    b.core.set_cr(3, 0x5000);
    b.core.set_dr(7, 0x455);
    b.core.set_segment(SegmentName::ds, {0x2b, 0xffffffff, 0x40, 0xc0f3});
    b.core.set_idtr({0x9000, 0x1ff});
    b.core.shadow = false;
    REQUIRE(b.provoke(ActionKind::cpuid));
    CHECK(b.core.guest_mode == nullptr);
    CHECK(at(0x070) == 0x72);
    CHECK(at(0x0c8) == 0xffff'ffff'8100'0012);
    CHECK(at(0x578) == 0xffff'ffff'8100'0010);
    CHECK(at(0x5f8) == 0x1111);
    CHECK(at(0x5d8) == 0x2222);
    CHECK(at(0x640) == 0x3333);
    CHECK(at(0x550) == 0x5000);
    CHECK(at(0x560) == 0x455);
    CHECK(at(0x430) == 0xffff'ffff'0cf3'002b);
    CHECK(at(0x438) == 0x40);
    CHECK(at(0x488) == 0x9000);
    CHECK((at(0x484) & 0xffffffff) == 0x1ff);
    CHECK(at(0x068) == 0);
}

TEST_CASE("VMLOAD and VMSAVE move FS, GS, TR, LDTR and the system-call registers") {
    Bench b;
    b.put(vmcb::FS_BASE, 0x7f00'0000'1000);
    b.put(vmcb::TR_SELECTOR, 0x40);
    b.put(vmcb::TR_ATTRIB, 0x08b);
    b.put(vmcb::TR_LIMIT, 0x67);
    b.put(vmcb::LSTAR, 0xffff'ffff'8180'0000);
    b.put(vmcb::KERNEL_GS_BASE, 0xffff'8880'0000'0000);
    b.put(vmcb::SYSENTER_EIP, 0x1234);
    b.guest.vmload();
    CHECK(b.core.segment(SegmentName::fs).base == 0x7f00'0000'1000);
    CHECK(b.core.segment(SegmentName::tr) == Segment{0x40, 0x67, 0, 0x8b});
    CHECK(ar::UNUSABLE::test(b.core.segment(SegmentName::ldtr).access_rights));
    CHECK(b.core.native_msr(msr::kLstar) == 0xffff'ffff'8180'0000);
    CHECK(b.core.native_msr(msr::kKernelGsBase) == 0xffff'8880'0000'0000);
    CHECK(b.core.native_msr(msr::kSysenterEip) == 0x1234);

    // VMRUN and #VMEXIT leave them alone; VMSAVE writes them.
    b.intercept(ExitCode::HLT);
    b.core.set_native_msr(msr::kStar, 0x0023'0010'0000'0000);
    b.core.set_segment(SegmentName::gs, {0x33, 0xfffff, 0x9999, 0xc093});
    REQUIRE(b.provoke(ActionKind::hlt));
    CHECK(b.get(vmcb::STAR) == 0);
    CHECK(b.get(vmcb::GS_BASE) == 0);
    b.guest.vmsave();
    CHECK(b.get(vmcb::STAR) == 0x0023'0010'0000'0000);
    CHECK(b.get(vmcb::GS_SELECTOR) == 0x33);
    CHECK(b.get(vmcb::GS_ATTRIB) == 0xc93);
    CHECK(b.get(vmcb::GS_BASE) == 0x9999);
}
