// What a bare machine's SVM adds to a guest: the processor's and the host's part in VMRUN, virtual
// GIF and NMIs, MSRs, branch records.
#include <doctest/doctest.h>

#include "cpu/branches.h"
#include "cpu/last_branches.h"
#include "cpu/models/model.h"
#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;
using namespace hvsim::cpu::svm::test;

namespace {

Branch branch(std::initializer_list<std::uint8_t> bytes, CodeMode mode = {true, true}) {
    const std::vector<std::uint8_t> copy(bytes);
    return decode_branch(copy, mode);
}

constexpr std::uint64_t kPdpt = 0x9000;

}  // namespace

TEST_CASE("VMRUN depends on the processor's features and the host's state") {
    Bench b;
    Host host;
    b.put(vmcb::NESTED_CONTROL, nested_control::NP_ENABLE::kMask);
    SUBCASE("a host without paging") {
        host.paging = false;
        CHECK(b.guest.vmrun(host).failure.rule == 133);
    }
    SUBCASE("a processor without nested paging") {
        host.features.nested_paging = false;
        CHECK(b.guest.vmrun(host).failure.rule == 134);
    }
    SUBCASE("virtual NMIs that the processor does not know") {
        host.features.virtual_nmi = false;
        b.put(vmcb::VINTR, vintr::V_NMI_ENABLE::kMask);
        CHECK(b.guest.vmrun(host).entered());
        CHECK_FALSE(b.guest.has_virtual_nmis());
    }
    SUBCASE("guest mode execute trap") {
        b.put(vmcb::NESTED_CONTROL, nested_control::NP_ENABLE::kMask | nested_control::GMET::kMask);
        REQUIRE(b.guest.vmrun(host).entered());
        CHECK(b.guest.second_stage()->npt_execute_trap);
    }
    SUBCASE("faults tell fetches by the host's NX or SMEP") {
        host.no_execute = host.smep = false;
        REQUIRE(b.guest.vmrun(host).entered());
        CHECK_FALSE(b.guest.second_stage()->npt_tells_fetches);
        CHECK_FALSE(b.guest.second_stage()->npt_nx);
    }
}

TEST_CASE("PDPTEs are checked by VMRUN only without nested paging") {
    for (const bool nested : {false, true}) {
        CAPTURE(nested);
        Bench b;
        b.put(vmcb::EFER, std::uint64_t{efer::kSVME});
        b.put(vmcb::CS_ATTRIB, 0xc9b);
        b.put(vmcb::CR3, kPdpt);
        b.put(vmcb::NESTED_CONTROL, nested ? nested_control::NP_ENABLE::kMask : 0);
        CHECK(b.guest.vmrun().entered());
        Bench c;
        c.put(vmcb::EFER, std::uint64_t{efer::kSVME});
        c.put(vmcb::CS_ATTRIB, 0xc9b);
        c.put(vmcb::CR3, kPdpt);
        c.put(vmcb::NESTED_CONTROL, nested ? nested_control::NP_ENABLE::kMask : 0);
        c.ram.write(kPdpt + 16, 1ull << 52 | 1);
        const EntryResult result = c.guest.vmrun();
        CHECK(result.entered() == nested);
        if (!nested) CHECK(result.failure.rule == 112);
    }
}

TEST_CASE("reserved clean bits mean nothing") {
    Bench b;
    b.intercept(ExitCode::HLT);
    REQUIRE(b.provoke(ActionKind::hlt));
    b.put(vmcb::CLEAN, ~std::uint32_t{0});
    b.put(vmcb::RIP, 0x1234);
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.core.rip() == 0x1234);
}

TEST_CASE("CPL follows from the mode where it has to") {
    Bench b;
    b.put(vmcb::EFER, std::uint64_t{efer::kSVME});
    b.put(vmcb::CS_ATTRIB, 0xc9b);
    b.put(vmcb::CR4, 0);
    SUBCASE("real mode") {
        b.put(vmcb::CR0, std::uint64_t{cr0::kET});
        b.put(vmcb::CPL, 3);
        REQUIRE(b.guest.vmrun().entered());
        CHECK(b.core.cpl() == 0);
    }
    SUBCASE("virtual-8086 mode") {
        b.put(vmcb::RFLAGS, rflags::kVM | 2);
        b.put(vmcb::CPL, 0);
        REQUIRE(b.guest.vmrun().entered());
        CHECK(b.core.cpl() == 3);
    }
}

TEST_CASE("a virtual NMI waits for the virtual GIF and for the end of the one before") {
    Bench b;
    b.intercept(ExitCode::NMI);
    constexpr std::uint64_t kOwnGif = vintr::VGIF_ENABLE::kMask;
    b.put(vmcb::VINTR, vintr::V_NMI_ENABLE::kMask | vintr::V_NMI::kMask | kOwnGif);
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.guest.has_virtual_nmis());
    CHECK_FALSE(b.guest.wants_nmi_window());
    b.guest.set_virtual_gif(true);
    CHECK(b.guest.wants_nmi_window());
    Action action;
    action.kind = ActionKind::nmi_window;
    REQUIRE(b.guest.intercepts(action));
    CHECK(b.guest.exit(action, nullptr));
    CHECK(b.guest.in_guest());
    REQUIRE(b.core.injected.size() == 1);
    CHECK(b.core.injected[0].type == EventType::nmi);
    CHECK(b.core.blocks_nmis);
    CHECK_FALSE(b.guest.wants_nmi_window());
    b.guest.sync();
    CHECK(vintr::V_NMI_MASK::test(b.get(vmcb::VINTR)));
    CHECK_FALSE(vintr::V_NMI::test(b.get(vmcb::VINTR)));
    CHECK(vintr::VGIF::test(b.get(vmcb::VINTR)));
}

TEST_CASE("the host's blocking of NMIs is back after a #VMEXIT") {
    Bench b;
    b.intercept(ExitCode::NMI);
    b.intercept(ExitCode::HLT);
    b.put(vmcb::VINTR, vintr::V_NMI_ENABLE::kMask | vintr::V_NMI_MASK::kMask);
    REQUIRE(b.guest.vmrun().entered());
    CHECK(b.core.blocks_nmis);
    Action action;
    action.kind = ActionKind::hlt;
    b.guest.exit(action, nullptr);
    CHECK_FALSE(b.core.blocks_nmis);
    CHECK(vintr::V_NMI_MASK::test(b.get(vmcb::VINTR)));
}

TEST_CASE("an injected NMI blocks virtual NMIs") {
    for (const bool virtual_nmis : {false, true}) {
        CAPTURE(virtual_nmis);
        Bench b;
        b.intercept(ExitCode::NMI);
        b.put(vmcb::VINTR, virtual_nmis ? vintr::V_NMI_ENABLE::kMask : 0);
        b.put(vmcb::EVENTINJ, 1u << 31 | event::kNmi << event::TYPE::kLow | kNmi);
        REQUIRE(b.guest.vmrun().entered());
        CHECK(b.core.blocks_nmis == virtual_nmis);
    }
}

TEST_CASE("the guest's TSC is the host's by the ratio, then the offset") {
    Bench b;
    b.put(vmcb::TSC_OFFSET, 1000);
    Host host;
    host.tsc_ratio = kTscRatioOne * 5 / 2;
    REQUIRE(b.guest.vmrun(host).entered());
    CHECK(b.guest.guest_tsc(0) == 1000);
    CHECK(b.guest.guest_tsc(3) == 1007);
    CHECK(b.guest.guest_tsc(1ull << 62) == (1ull << 61) * 5 + 1000);
}

TEST_CASE("interrupts that are not intercepted follow the host's IF only with V_INTR_MASKING") {
    Bench b;
    Host host;
    host.interrupts = false;
    REQUIRE(b.guest.vmrun(host).entered());
    CHECK(b.guest.takes_interrupts(true));
    CHECK_FALSE(b.guest.takes_interrupts(false));
    Bench c;
    c.put(vmcb::VINTR, vintr::V_INTR_MASKING::kMask);
    REQUIRE(c.guest.vmrun(host).entered());
    CHECK_FALSE(c.guest.takes_interrupts(true));
    Bench d;
    d.intercept(ExitCode::INTR);
    REQUIRE(d.guest.vmrun(host).entered());
    CHECK_FALSE(d.guest.takes_interrupts(true));
}

TEST_CASE("VMLOAD makes bases canonical") {
    Bench b;
    b.put(vmcb::FS_BASE, 0x0000'8000'0000'1000);
    b.put(vmcb::KERNEL_GS_BASE, 0x1234'7fff'0000'0000);
    vmload(b.core, b.guest.vmcb());
    CHECK(b.core.segment(SegmentName::fs).base == 0xffff'8000'0000'1000);
    CHECK(b.core.native_msr(0xc0000102) == 0x0000'7fff'0000'0000);
}

TEST_CASE("branches are told from other instructions") {
    CHECK(branch({0xeb, 0x10}).kind == BranchKind::always);
    CHECK(branch({0xf2, 0xe8, 0, 0, 0, 0}).kind == BranchKind::always);
    CHECK(branch({0xc3}).kind == BranchKind::always);
    CHECK(branch({0x41, 0xff, 0xd3}).kind == BranchKind::always);  // CALL r11
    CHECK(branch({0xff, 0xc0}).kind == BranchKind::none);          // INC eax
    CHECK(branch({0x0f, 0x05}).kind == BranchKind::always);
    CHECK(branch({0x0f, 0x0b}).kind == BranchKind::none);
    CHECK(branch({0xea}).kind == BranchKind::none);  // no far JMP in 64-bit mode
    CHECK(branch({0xea}, {false, true}).kind == BranchKind::always);
    const auto conditional = [](const Branch& b, unsigned length) {
        return b.kind == BranchKind::conditional && b.length == length;
    };
    CHECK(conditional(branch({0x74, 0}), 2));
    CHECK(conditional(branch({0x3e, 0x75, 0}), 3));
    CHECK(conditional(branch({0x0f, 0x84, 0, 0, 0, 0}), 6));
    CHECK(conditional(branch({0x0f, 0x84, 0, 0}, {false, false}), 4));
    CHECK(conditional(branch({0x66, 0x0f, 0x84, 0, 0}, {false, true}), 5));
    CHECK(conditional(branch({0x67, 0xe3, 0}), 3));
    CHECK(branch({}).kind == BranchKind::none);
    CHECK(branch({0x66}).kind == BranchKind::none);
    CHECK(branch({0x0f}).kind == BranchKind::none);
}

TEST_CASE("an event keeps the branch before it; #DB ends the records") {
    LastBranches records;
    records.record(1, 2);
    CHECK(records.from == 0);
    records.debug_control = LastBranches::kLbr;
    records.record(1, 2);
    records.record_event(3, 4, false);
    CHECK(records.from == 3);
    CHECK(records.to == 4);
    CHECK(records.exception_from == 1);
    CHECK(records.exception_to == 2);
    records.record_event(5, 6, true);
    CHECK_FALSE(records.enabled());
    records.record(7, 8);
    CHECK(records.from == 5);
}

TEST_CASE("models announce what their generation has of SVM") {
    CpuidContext context;
    const auto features = [&](const char* name) {
        return cpuid(*find_model(name), context, 0x8000000a, 0).edx;
    };
    CHECK_FALSE(sim::bit(features("amd-naples"), 17));
    CHECK(sim::bit(features("amd-rome"), 17));
    CHECK_FALSE(sim::bit(features("amd-milan"), 25));
    CHECK(sim::bit(features("amd-genoa"), 25));
    CHECK(sim::bit(features("amd-rome"), 13));
    CHECK_FALSE(sim::bit(features("amd-milan"), 13));  // AVIC is there, but not announced
    CHECK_FALSE(sim::bit(features("amd-rome"), 18));
    CHECK(sim::bit(features("amd-genoa"), 18));
    context.slat = false;
    CHECK_FALSE(sim::bit(features("amd-rome"), 0));
    context.virtualization = false;
    CHECK(features("amd-rome") == 0);
}
