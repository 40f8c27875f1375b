// CPUID: golden values of the hypervisor's leaves, masks, topology.
#include <doctest/doctest.h>

#include "fixture.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

TEST_CASE("hypervisor leaves of a guest") {
    Machine m;
    const VirtualProcessor& vp = *m.make_child().vp(0);
    CHECK(vp.cpuid(0x4000'0000, 0) ==
          CpuidResult{0x4000'000a, 0x7263'694d, 0x666f'736f, 0x7648'2074});
    CHECK(vp.cpuid(0x4000'0001, 0) == CpuidResult{0x3123'7648, 0, 0, 0});
    CHECK(vp.cpuid(0x4000'0002, 0) == CpuidResult{20348, 10u << 16, 0, 1});
    const CpuidResult features = vp.cpuid(0x4000'0003, 0);
    CHECK((features.eax & 0x60) == 0x60);   // without these Linux sees no Hyper-V
    CHECK((features.ebx & 1u << 1) == 0);   // AccessPartitionId: an oops
    CHECK((features.ebx & 1u << 12) == 0);  // CpuManagement: "root partition"
    CHECK(features.ebx == 0x30);
    CHECK(features.eax == 0x0000'aeff);
    CHECK(features.edx == 0x000a'0530);
    CHECK(vp.cpuid(0x4000'0004, 0) == CpuidResult{0xe2c, 0xffff'ffff, 46, 0});
    CHECK(vp.cpuid(0x4000'0005, 0) == CpuidResult{240, 4, 0, 0});
    CHECK(vp.cpuid(0x4000'000a, 0) == CpuidResult{});
    CHECK(vp.cpuid(0x4000'000b, 0) == CpuidResult{});
    CHECK(vp.cpuid(0x4000'0080, 0) ==
          CpuidResult{0x4000'0082, 0x7263'694d, 0x666f'736f, 0x5356'2074});
    CHECK(vp.cpuid(0x4000'0082, 0) == CpuidResult{});
    CHECK((m.root_vp().cpuid(0x4000'0003, 0).ebx & (1u << 12 | 1)) == (1u << 12 | 1));
}

TEST_CASE("what a guest does not see") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    const CpuidResult one = vp.cpuid(1, 0);
    CHECK(sim::bit(one.ecx, 31));        // a hypervisor
    CHECK_FALSE(sim::bit(one.ecx, 5));   // VMX
    CHECK_FALSE(sim::bit(one.ecx, 3));   // MONITOR
    CHECK(sim::bit(one.ecx, 21));        // x2APIC
    CHECK_FALSE(sim::bit(one.ecx, 27));  // OSXSAVE follows CR4
    m.context(vp).crs[4] = 1u << 18;
    CHECK(sim::bit(vp.cpuid(1, 0).ecx, 27));
    child.features().nested = true;
    CHECK(sim::bit(vp.cpuid(1, 0).ecx, 5));
    CHECK(vp.cpuid(0xa, 0) == CpuidResult{});
    CHECK_FALSE(sim::bit(vp.cpuid(7, 0).ebx, 1));  // TSC_ADJUST
    CHECK(sim::bit(one.edx, 9));
    vp.write_msr(0x1b, 0xfee0'0100, m.now);  // APIC off
    CHECK_FALSE(sim::bit(vp.cpuid(1, 0).edx, 9));
}

TEST_CASE("the invariant TSC shows after the guest asked for it") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    CHECK_FALSE(sim::bit(vp.cpuid(0x8000'0007, 0).edx, 8));
    vp.write_msr(msr::kTscInvariantControl, 1, m.now);
    CHECK(sim::bit(vp.cpuid(0x8000'0007, 0).edx, 8));
    vp.write_msr(msr::kTscInvariantControl, 0, m.now);
    CHECK(sim::bit(vp.cpuid(0x8000'0007, 0).edx, 8));
    CHECK(sim::bit(m.root_vp().cpuid(0x8000'0007, 0).edx, 8));
}

TEST_CASE("topology agrees between leaves") {
    Machine m;
    Partition& child = m.make_child(4);
    for (VirtualProcessor* vp : child.vps()) {
        const CpuidResult one = vp->cpuid(1, 0);
        CHECK((one.ebx >> 24) == vp->index());
        CHECK((one.ebx >> 16 & 0xff) == 4);
        CHECK(vp->cpuid(0xb, 0) == CpuidResult{0, 1, 0x100, vp->apic_id()});
        CHECK(vp->cpuid(0xb, 1) == CpuidResult{2, 4, 0x201, vp->apic_id()});
        CHECK(vp->cpuid(0xb, 2) == CpuidResult{0, 0, 2, vp->apic_id()});
        CHECK((vp->cpuid(4, 3).eax >> 26) == 3);
        CHECK((vp->cpuid(4, 3).eax >> 14 & 0xfff) == 3);
        CHECK((vp->cpuid(4, 0).eax >> 14 & 0xfff) == 0);
        CHECK(vp->cpuid(4, 4).eax == 0);
    }
}

TEST_CASE("sockets of three: APIC ids leave a gap") {
    Machine m;
    hc::PartitionOut out;
    m.simple_out(0x40, hc::CreatePartition{}, out);
    m.simple(0x45, hc::SetProperty{out.partition, 0x5'0003, 0, 3});
    m.deposit(out.partition, 60);
    Machine::require(m.simple(0x41, hc::PartitionOnly{out.partition}));
    for (VpIndex i = 0; i < 4; ++i)
        Machine::require(m.simple(0x4e, hc::CreateVp{.partition = out.partition, .vp = i}));
    Partition& partition = *m.hypervisor.find(out.partition);
    CHECK(partition.vp(2)->apic_id() == 2);
    CHECK(partition.vp(3)->apic_id() == 4);
    CHECK(partition.vp(3)->cpuid(0xb, 1).eax == 2);
    // HvCallGetVpIndexFromApicId finds the way back.
    m.ram.write(Machine::kInput + 16, std::uint32_t{4});
    m.ram.write(Machine::kInput + 20, std::uint32_t{3});
    unsigned done = 0;
    CHECK(m.rep(0x9a, hc::VpIndexFromApicId{out.partition, 0, {}}, std::span<const std::uint32_t>{},
                done, 2) == HvStatus::invalid_parameter);
    CHECK(done == 1);
    std::uint32_t index = 0;
    m.ram.read(Machine::kOutput, index);
    CHECK(index == 3);
}

TEST_CASE("XSAVE size follows XCR0") {
    Machine m;
    VirtualProcessor& vp = *m.make_child().vp(0);
    CHECK(vp.cpuid(0xd, 0).ebx == 576);
    m.context(vp).xcr0_ = 7;
    CHECK(vp.cpuid(0xd, 0).ebx == 0x340);
    CHECK(vp.cpuid(0xd, 0).ecx == 0x340);
}

TEST_CASE("results registered by the parent") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    hc::RegisterInterceptResult in;
    in.partition = child.id();
    in.type = 2;
    in.cpuid.eax = 1;
    in.cpuid.result_ecx = 0;
    in.cpuid.mask_ecx = 1u << 31;
    CHECK(m.simple(0x91, in) == HvStatus::success);
    CHECK_FALSE(sim::bit(vp.cpuid(1, 0).ecx, 31));
    CHECK(sim::bit(vp.cpuid(1, 7).ecx, 21));
    CHECK_FALSE(sim::bit(vp.cpuid(1, 7).ecx, 31));
    in.cpuid.eax = 0x1234;
    in.cpuid.ecx = 2;
    in.cpuid.subleaf_specific = 1;
    in.cpuid.result_eax = 0x55;
    in.cpuid.mask_eax = 0xff;
    CHECK(m.simple(0x91, in) == HvStatus::success);
    CHECK(vp.cpuid(0x1234, 2).eax == 0x55);
    CHECK(vp.cpuid(0x1234, 1).eax == 0);
    in.type = 0;
    CHECK(m.simple(0x91, in) == HvStatus::invalid_parameter);
    for (std::uint32_t leaf = 0; leaf < 300; ++leaf) {
        in.type = 2;
        in.cpuid.eax = 0x5000'0000 + leaf;
        const HvStatus status = m.simple(0x91, in);
        const bool full = leaf >= 254;
        CHECK(status == (full ? HvStatus::no_resources : HvStatus::success));
    }
    CHECK(m.simple(0x91, in) == HvStatus::no_resources);
}
