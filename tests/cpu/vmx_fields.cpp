// VMCS field encodings, capability MSRs, and VMREAD and VMWRITE by encoding.
#include <set>

#include "vmx_machine.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::vmx;
using namespace hvsim::cpu::vmx::test;

namespace {

using F = Field;

std::uint64_t capability(std::uint32_t number) {
    std::uint64_t value = 0;
    REQUIRE(capability_msr(default_model(Vendor::intel), number, value));
    return value;
}

}  // namespace

TEST_CASE("encodings of SDM 3D appendix B") {
    const struct {
        std::uint32_t encoding;
        const char* name;
    } golden[] = {
        {0x0000, "VPID"},
        {0x080e, "GUEST_TR_SELECTOR"},
        {0x0c0c, "HOST_TR_SELECTOR"},
        {0x2000, "IO_BITMAP_A"},
        {0x2004, "MSR_BITMAPS"},
        {0x2010, "TSC_OFFSET"},
        {0x201a, "EPT_POINTER"},
        {0x2400, "GUEST_PHYSICAL_ADDRESS"},
        {0x2800, "VMCS_LINK_POINTER"},
        {0x2806, "GUEST_EFER"},
        {0x280a, "GUEST_PDPTE0"},
        {0x2c02, "HOST_EFER"},
        {0x4000, "PIN_BASED_CONTROLS"},
        {0x4002, "PRIMARY_CONTROLS"},
        {0x4004, "EXCEPTION_BITMAP"},
        {0x400c, "EXIT_CONTROLS"},
        {0x4012, "ENTRY_CONTROLS"},
        {0x4016, "ENTRY_INTERRUPTION_INFO"},
        {0x401e, "SECONDARY_CONTROLS"},
        {0x4400, "VM_INSTRUCTION_ERROR"},
        {0x4402, "EXIT_REASON"},
        {0x4408, "IDT_VECTORING_INFO"},
        {0x440c, "EXIT_INSTRUCTION_LENGTH"},
        {0x4802, "GUEST_CS_LIMIT"},
        {0x4816, "GUEST_CS_ACCESS_RIGHTS"},
        {0x4824, "GUEST_INTERRUPTIBILITY"},
        {0x4826, "GUEST_ACTIVITY"},
        {0x482e, "PREEMPTION_TIMER_VALUE"},
        {0x4c00, "HOST_SYSENTER_CS"},
        {0x6000, "CR0_MASK"},
        {0x6008, "CR3_TARGET_0"},
        {0x6400, "EXIT_QUALIFICATION"},
        {0x640a, "GUEST_LINEAR_ADDRESS"},
        {0x6800, "GUEST_CR0"},
        {0x681c, "GUEST_RSP"},
        {0x681e, "GUEST_RIP"},
        {0x6820, "GUEST_RFLAGS"},
        {0x6c00, "HOST_CR0"},
        {0x6c16, "HOST_RIP"},
    };
    for (const auto& row : golden) CHECK(field_name(static_cast<Field>(row.encoding)) == row.name);
}

TEST_CASE("the field table is consistent") {
    std::set<std::uint32_t> encodings;
    for (const FieldDescription& field : kFieldTable) {
        CAPTURE(field.name);
        CHECK(encodings.insert(field.encoding()).second);
        CHECK((field.encoding() & 0xffff9001) == 0);  // full access, reserved bits 0
        const int position = field_position(field.encoding());
        REQUIRE(position >= 0);
        CHECK(&kFieldTable[static_cast<std::size_t>(position)] == &field);
    }
    CHECK(kFieldTable.size() * 8 + 64 <= kRegionSize);
    CHECK(exit_reason_name(48) == "ept_violation");
    CHECK(exit_reason_name(35).empty());
}

TEST_CASE("capability MSRs (SDM 3D appendix A)") {
    // Basic: revision with bit 31 clear, a region of at most 4 KiB, write-back, TRUE MSRs.
    const std::uint64_t basic = capability(0x480);
    CHECK_FALSE(sim::bit(basic, 31));
    CHECK((basic >> 32 & 0x1fff) <= 4096);
    CHECK((basic >> 50 & 0xf) == 6);
    CHECK(sim::bit(basic, 55));
    const struct {
        std::uint32_t plain, exact, default1;
    } pairs[] = {{0x481, 0x48d, 0x16},
                 {0x482, 0x48e, 0x0401e172},
                 {0x483, 0x48f, 0x36dff},
                 {0x484, 0x490, 0x11ff}};
    for (const auto& row : pairs) {
        CAPTURE(row.plain);
        const std::uint64_t plain = capability(row.plain), exact = capability(row.exact);
        const auto plain0 = static_cast<std::uint32_t>(plain),
                   exact0 = static_cast<std::uint32_t>(exact);
        CHECK((plain >> 32) == (exact >> 32));
        CHECK((plain0 & ~(plain >> 32)) == 0);        // what must be 1 may be 1
        CHECK(plain0 == row.default1);                // default1 class: all 1 in the old MSR
        CHECK((exact0 & ~row.default1) == 0);         // nothing else must be 1
        CHECK((row.default1 & ~(exact >> 32)) == 0);  // and all of it may be
    }
    CHECK((capability(0x48b) & 0xffffffff) == 0);
    CHECK((capability(0x486) & ~capability(0x487)) == 0);
    CHECK((capability(0x488) & ~capability(0x489)) == 0);
    // The highest index in use (A.9), in its field's place.
    std::uint32_t highest = 0;
    for (const FieldDescription& field : kFieldTable)
        highest = std::max(highest, field.encoding() & 0x3fe);
    CHECK(capability(0x48a) == highest);
    std::uint64_t value = 0;
    CHECK_FALSE(capability_msr(default_model(Vendor::intel), 0x47f, value));
    CHECK(capability_msr(default_model(Vendor::intel), 0x491, value));
    CHECK(value == 1);                                                        // EPTP switching
    CHECK_FALSE(capability_msr(default_model(Vendor::intel), 0x492, value));  // no VM functions
}

TEST_CASE("VMREAD and VMWRITE by encoding") {
    VmxMachine m;
    std::uint64_t value = 0;
    CHECK(m.guest.write_encoded(0x2010, 0x1122334455667788) == InstructionError::none);
    CHECK(m.guest.read_encoded(0x2010, value));
    CHECK(value == 0x1122334455667788);
    CHECK(m.guest.read_encoded(0x2011, value));
    CHECK(value == 0x11223344);
    CHECK(m.guest.write_encoded(0x2011, 0xaabbccdd) == InstructionError::none);
    CHECK(m[F::TSC_OFFSET] == 0xaabbccdd55667788);
    // High access exists for 64-bit fields alone.
    for (const std::uint32_t encoding : {0x0001u, 0x4001u, 0x6001u})
        CHECK(m.guest.write_encoded(encoding, 0) == InstructionError::unsupported_component);
    for (const std::uint32_t encoding :
         {0x0006u, 0x2030u, 0x7e00u, 0x1000u, 0x8000u, 0x10000u, ~0u})
        CHECK_FALSE(m.guest.read_encoded(encoding, value));
    // Exit information may be written too (IA32_VMX_MISC bit 29).
    for (const std::uint32_t encoding : {0x4402u, 0x2400u, 0x6400u}) {
        CHECK(m.guest.write_encoded(encoding, 0x123) == InstructionError::none);
        CHECK(m.guest.read_encoded(encoding, value));
        CHECK(value == 0x123);
    }
    // Values are cut to the field's width.
    CHECK(m.guest.write_encoded(0x4004, ~std::uint64_t{0}) == InstructionError::none);
    CHECK(m[F::EXCEPTION_BITMAP] == 0xffffffff);
    CHECK(m.guest.write_encoded(0x0000, 0x12345) == InstructionError::none);
    CHECK(m[F::VPID] == 0x2345);
}

TEST_CASE("guest-state fields are the core's registers between launch and VMCLEAR") {
    VmxMachine m;
    m.launch();
    CHECK(m.core.rip() == 0x8000);
    CHECK(m.core.segment(SegmentName::tr).selector == 0x40);
    m.core.set_rip(0x9000);
    m.core.set_gpr(engine::kRsp, 0x7000);
    CHECK(m[F::GUEST_RIP] == 0x9000);
    CHECK(m[F::GUEST_RSP] == 0x7000);
    m.set({{F::GUEST_FS_BASE, 0x1234000}, {F::GUEST_IDTR_LIMIT, 0xfff}});
    CHECK(m.core.segment(SegmentName::fs).base == 0x1234000);
    CHECK(m.core.idtr().limit == 0xfff);
    m.guest.clear();
    m.core.set_rip(1);
    CHECK(m[F::GUEST_RIP] == 0x9000);
    CHECK(m[F::GUEST_FS_BASE] == 0x1234000);
}
