// The consistency checks of VMRUN: each rule broken once, in memory (APM 2 15.5.1, 15.20, 15.25.4).
#include <doctest/doctest.h>

#include "tests/cpu/svm_bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;
using namespace hvsim::cpu::svm::test;

namespace {

struct Broken {
    std::uint32_t rule;
    const char* section;
    const char* field;
    void (*how)(Bench&);
};

constexpr Broken kBroken[] = {
    {101, "15.5.1", "EFER", [](Bench& b) { b.put(vmcb::EFER, efer::kLME | efer::kLMA); }},
    {102, "15.5.1", "CR0", [](Bench& b) { b.put(vmcb::CR0, b.get(vmcb::CR0) | cr0::kNW); }},
    {103, "15.5.1", "CR0", [](Bench& b) { b.put(vmcb::CR0, b.get(vmcb::CR0) | 1ull << 32); }},
    {104, "15.5.1", "CR3", [](Bench& b) { b.put(vmcb::CR3, 1ull << 48); }},
    {105, "15.5.1", "CR4", [](Bench& b) { b.put(vmcb::CR4, cr4::kPAE | cr4::kVMXE); }},
    {105, "15.5.1", "CR4", [](Bench& b) { b.put(vmcb::CR4, cr4::kPAE | 1ull << 63); }},
    {106, "15.5.1", "DR6", [](Bench& b) { b.put(vmcb::DR6, 1ull << 32); }},
    {107, "15.5.1", "DR7", [](Bench& b) { b.put(vmcb::DR7, 1ull << 63); }},
    {108, "15.5.1", "EFER", [](Bench& b) { b.put(vmcb::EFER, b.get(vmcb::EFER) | 2); }},
    {109, "15.5.1", "CR4", [](Bench& b) { b.put(vmcb::CR4, 0); }},
    {110, "15.5.1", "CR0", [](Bench& b) { b.put(vmcb::CR0, cr0::kPG); }},
    {111, "15.5.1", "CS_ATTRIB", [](Bench& b) { b.put(vmcb::CS_ATTRIB, 0xe9b); }},
    {120, "15.5.1", "INTERCEPT_MISC2", [](Bench& b) { b.put(vmcb::INTERCEPT_MISC2, 0); }},
    {121, "15.5.1", "IOPM_BASE_PA",
     [](Bench& b) {
         b.intercept(ExitCode::IOIO);
         b.put(vmcb::IOPM_BASE_PA, (1ull << 48) - 0x2000);  // its third page is outside
     }},
    {122, "15.5.1", "MSRPM_BASE_PA",
     [](Bench& b) {
         b.intercept(ExitCode::MSR);
         b.put(vmcb::MSRPM_BASE_PA, ~0ull);
     }},
    {122, "15.5.1", "MSRPM_BASE_PA",
     [](Bench& b) {
         b.intercept(ExitCode::MSR);
         b.put(vmcb::MSRPM_BASE_PA, (1ull << 48) - 0x2000);  // to the greatest physical address
     }},
    {123, "15.5.1", "GUEST_ASID", [](Bench& b) { b.put(vmcb::GUEST_ASID, 0); }},
    {124, "15.21.10", "VINTR", [](Bench& b) { b.put(vmcb::VINTR, vintr::V_NMI_ENABLE::kMask); }},
    {130, "15.34", "NESTED_CONTROL", [](Bench& b) { b.put(vmcb::NESTED_CONTROL, 2); }},
    {131, "15.25.4", "N_CR3",
     [](Bench& b) {
         b.put(vmcb::NESTED_CONTROL, 1);
         b.put(vmcb::N_CR3, 1ull << 48);
     }},
    {132, "15.25.4", "G_PAT",
     [](Bench& b) {
         b.put(vmcb::NESTED_CONTROL, 1);
         b.put(vmcb::G_PAT, 2);
     }},
    {140, "15.16.2", "TLB_CONTROL", [](Bench& b) { b.put(vmcb::TLB_CONTROL, 2); }},
    {141, "15.20", "EVENTINJ", [](Bench& b) { b.put(vmcb::EVENTINJ, 1u << 31 | 1u << 8 | 0x20); }},
    {141, "15.20", "EVENTINJ", [](Bench& b) { b.put(vmcb::EVENTINJ, 1u << 31 | 6u << 8 | 3); }},
    {142, "15.20", "EVENTINJ", [](Bench& b) { b.put(vmcb::EVENTINJ, 1u << 31 | 3u << 8 | 2); }},
    {142, "15.20", "EVENTINJ", [](Bench& b) { b.put(vmcb::EVENTINJ, 1u << 31 | 3u << 8 | 32); }},
};

}  // namespace

TEST_CASE("each broken rule ends in VMEXIT_INVALID that names it; mended, the guest runs") {
    for (const Broken& broken : kBroken) {
        CAPTURE(broken.rule);
        CAPTURE(broken.field);
        Bench b;
        std::array<std::uint8_t, kVmcbSize> good{};
        b.ram.read_bytes(kVmcb, good);
        broken.how(b);
        const EntryResult result = b.guest.vmrun();
        CHECK_FALSE(result.entered());
        CHECK(result.failure.rule == broken.rule);
        CHECK(result.failure.section == broken.section);
        CHECK(field_name(result.failure.field) == broken.field);
        std::uint64_t value = 0;
        for (const FieldDescription& row : kFieldTable)
            if (row.offset == result.failure.field)
                b.ram.read_bytes(kVmcb + row.offset,
                                 std::span(reinterpret_cast<std::uint8_t*>(&value), row.width));
        CHECK(result.failure.value == value);
        CHECK(b.exit_code() == ~0ull);
        CHECK(b.get(vmcb::EXITINTINFO) == 0);
        CHECK(b.core.guest_mode == nullptr);
        CHECK(b.core.injected.empty());
        CHECK_FALSE(b.guest.in_guest());
        b.ram.write_bytes(kVmcb, good);
        CHECK(b.guest.vmrun().entered());
    }
}

TEST_CASE("a rule broken between two VMRUNs is found, whatever was checked before") {
    for (const Broken& broken : kBroken) {
        CAPTURE(broken.rule);
        CAPTURE(broken.field);
        Bench b;
        b.intercept(ExitCode::HLT);
        REQUIRE(b.provoke(ActionKind::hlt));
        broken.how(b);
        const EntryResult result = b.guest.vmrun();
        CHECK_FALSE(result.entered());
        CHECK(result.failure.rule == broken.rule);
    }
}

TEST_CASE("what the rules allow at their borders") {
    Bench b;
    SUBCASE("CD and NW together") {
        b.put(vmcb::CR0, b.get(vmcb::CR0) | cr0::kCD | cr0::kNW);
    }
    SUBCASE("the last map inside the physical address space") {
        b.intercept(ExitCode::IOIO);
        b.intercept(ExitCode::MSR);
        b.put(vmcb::IOPM_BASE_PA, (1ull << 48) - 0x3000);
        b.put(vmcb::MSRPM_BASE_PA, (1ull << 48) - 0x3000);
    }
    SUBCASE("maps that nothing looks at") {
        b.put(vmcb::IOPM_BASE_PA, ~0ull);
        b.put(vmcb::MSRPM_BASE_PA, ~0ull);
    }
    SUBCASE("the guest's PAT without nested paging") {
        b.put(vmcb::G_PAT, 2);
    }
    SUBCASE("EFER.LMA that does not fit: it is computed") {
        b.put(vmcb::EFER, efer::kSVME | efer::kLME);
    }
    SUBCASE("real mode") {
        b.put(vmcb::CR0, cr0::kET | cr0::kCD | cr0::kNW);
        b.put(vmcb::CR4, 0);
        b.put(vmcb::EFER, efer::kSVME);
        b.put(vmcb::CR3, (1ull << 48) - 1);
    }
    SUBCASE("an invalid event that is not marked valid") {
        b.put(vmcb::EVENTINJ, 6u << 8);
    }
    CHECK(b.guest.vmrun().entered());
    const bool long_mode = (b.core.efer() & efer::kLMA) != 0;
    CHECK(long_mode == ((b.core.efer() & efer::kLME) && (b.core.cr(0) & cr0::kPG)));
}
