// Partitions from creation to deletion, their memory pools and properties.
#include <doctest/doctest.h>

#include "fixture.h"
#include "hypervisor-model/spec/properties.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

PartitionId create(Machine& m) {
    hc::PartitionOut out;
    Machine::require(m.simple_out(0x40, hc::CreatePartition{}, out));
    return out.partition;
}
HvStatus initialize(Machine& m, PartitionId id) {
    return m.simple(0x41, hc::PartitionOnly{id});
}
HvStatus finalize(Machine& m, PartitionId id) {
    return m.simple(0x42, hc::PartitionOnly{id});
}
HvStatus remove(Machine& m, PartitionId id) {
    return m.simple(0x43, hc::PartitionOnly{id});
}
hc::MemoryBalance balance(Machine& m, PartitionId id) {
    hc::MemoryBalance out;
    Machine::require(m.simple_out(0x4a, hc::ProximityQuery{id, 0}, out));
    return out;
}

}  // namespace

TEST_CASE("life cycle: deposit and retry, wrong order, deletion") {
    Machine m;
    m.deposit(kSelfPartition, 1);  // the root's own tables split now, not later
    const std::uint64_t root_used = m.root().pool().in_use();
    const PartitionId id = create(m);
    CHECK(id == 2);
    CHECK(m.root().pool().in_use() == root_used + 1);
    CHECK(m.simple(0x4e, hc::CreateVp{.partition = id}) == HvStatus::invalid_partition_state);

    // The caller deposits until it is enough.
    unsigned deposits = 0;
    HvStatus status = initialize(m, id);
    while (status == HvStatus::insufficient_memory) {
        m.deposit(id, 1);
        ++deposits;
        status = initialize(m, id);
    }
    CHECK(status == HvStatus::success);
    CHECK(deposits == 7);  // 2 pages of its own, 4 tables in reserve, the root table
    CHECK(balance(m, id).available == 0);
    CHECK(balance(m, id).in_use == 7);
    CHECK(initialize(m, id) == HvStatus::invalid_partition_state);
    CHECK(remove(m, id) == HvStatus::invalid_partition_state);

    status = m.simple(0x4e, hc::CreateVp{.partition = id, .vp = 0});
    CHECK(status == HvStatus::insufficient_memory);
    m.deposit(id, 4);
    m.backend.refuse = true;  // the backend finds no pages for its control structures
    CHECK(m.simple(0x4e, hc::CreateVp{.partition = id}) == HvStatus::insufficient_memory);
    CHECK(balance(m, id).available == 4);
    m.backend.refuse = false;
    CHECK(m.simple(0x4e, hc::CreateVp{.partition = id}) == HvStatus::success);
    CHECK(m.simple(0x4e, hc::CreateVp{.partition = id}) == HvStatus::invalid_vp_index);
    CHECK(m.simple(0x4e, hc::CreateVp{.partition = id, .vp = 240}) == HvStatus::invalid_vp_index);

    CHECK(finalize(m, id) == HvStatus::success);
    CHECK(finalize(m, id) == HvStatus::invalid_partition_state);
    CHECK(initialize(m, id) == HvStatus::invalid_partition_state);
    CHECK(balance(m, id).in_use == 0);
    CHECK(remove(m, id) == HvStatus::object_in_use);
    // Withdraw everything: 11 pages, then no more.
    m.ram.write(Machine::kInput, hc::ProximityQuery{id, 0});
    unsigned done = 0;
    CHECK(m.rep(0x49, hc::ProximityQuery{id, 0}, std::span<const std::uint64_t>{}, done, 20) ==
          HvStatus::no_resources);
    CHECK(done == 11);
    CHECK(remove(m, id) == HvStatus::success);
    CHECK(remove(m, id) == HvStatus::invalid_partition_id);
    CHECK(m.root().pool().in_use() == root_used);
    CHECK(create(m) == 3);  // ids are not used again
}

TEST_CASE("deposited pages leave the depositor and come back empty") {
    Machine m;
    const PartitionId id = create(m);
    const std::uint64_t page = 0x2800;
    m.ram.write(page << 12, std::uint64_t{0x1234});
    CHECK(m.rep(0x48, hc::PartitionOnly{id}, std::vector<std::uint64_t>{page}) ==
          HvStatus::success);
    CHECK_FALSE(m.root().gpa_space().visible(page));
    CHECK(m.rep(0x48, hc::PartitionOnly{id}, std::vector<std::uint64_t>{page}) ==
          HvStatus::invalid_parameter);
    CHECK(m.rep(0x48, hc::PartitionOnly{id}, std::vector<std::uint64_t>{0x1000}) ==
          HvStatus::invalid_parameter);  // the hypervisor's
    CHECK(m.rep(0x48, hc::PartitionOnly{id}, std::vector<std::uint64_t>{~0ull, 1}) ==
          HvStatus::invalid_parameter);
    unsigned done = 0;
    CHECK(m.rep(0x49, hc::ProximityQuery{id, 0}, std::span<const std::uint64_t>{}, done, 1) ==
          HvStatus::success);
    std::uint64_t out = 0;
    m.ram.read(Machine::kOutput, out);
    CHECK(out == page);
    CHECK(m.root().gpa_space().visible(page));
    std::uint64_t content = 1;
    m.ram.read(page << 12, content);
    CHECK(content == 0);
}

TEST_CASE("a page that a child maps cannot be deposited") {
    Machine m;
    Partition& child = m.make_child();
    CHECK(m.rep(0x48, hc::PartitionOnly{child.id()},
                std::vector<std::uint64_t>{Machine::kChildMemory}) == HvStatus::invalid_parameter);
    CHECK(m.simple(0x42, hc::PartitionOnly{child.id()}) == HvStatus::success);
    CHECK(m.hypervisor.pages().uses(Machine::kChildMemory) == 0);
    CHECK(m.rep(0x48, hc::PartitionOnly{kSelfPartition},
                std::vector<std::uint64_t>{Machine::kChildMemory}) == HvStatus::success);
}

TEST_CASE("who may touch whom") {
    Machine m;
    Partition& a = m.make_child(1, kGuestPrivileges | mask_of(Privilege::access_memory_pool));
    Machine::require(m.simple(0x42, hc::PartitionOnly{create(m)}));
    VirtualProcessor& vp = *a.vp(0);
    m.enable_hypercalls(vp);
    const auto as_guest = [&](PartitionId id) {
        return m.guest_call(vp, 0x4f, hc::VpOnly{id, 0, 0}).status;
    };
    CHECK(as_guest(1) == HvStatus::access_denied);               // the parent
    CHECK(as_guest(3) == HvStatus::access_denied);               // a sibling
    CHECK(as_guest(77) == HvStatus::invalid_partition_id);       // nobody
    CHECK(as_guest(kSelfPartition) == HvStatus::access_denied);  // itself
    CHECK(m.guest_call(vp, 0x4a, hc::ProximityQuery{kSelfPartition, 0}).status ==
          HvStatus::success);
    CHECK(m.guest_call(vp, 0x40, hc::CreatePartition{}).status == HvStatus::access_denied);
}

TEST_CASE("depth of partitions") {
    Machine m;
    Partition& child = m.make_child(1, kGuestPrivileges | mask_of(Privilege::create_partitions));
    m.enable_hypercalls(*child.vp(0));
    CHECK(m.guest_call(*child.vp(0), 0x40, hc::CreatePartition{}).status ==
          HvStatus::partition_too_deep);
    CHECK(m.simple(0x40, hc::CreatePartition{.proximity_domain = 1, .proximity_flags = 1u << 31}) ==
          HvStatus::invalid_proximity_domain_info);
}

TEST_CASE("children are enumerated in order") {
    Machine m;
    const PartitionId first = create(m), second = create(m);
    hc::PartitionOut out;
    CHECK(m.simple_out(0x47, hc::NextChild{kSelfPartition, 0}, out) == HvStatus::success);
    CHECK(out.partition == first);
    m.simple_out(0x47, hc::NextChild{1, first}, out);
    CHECK(out.partition == second);
    m.simple_out(0x47, hc::NextChild{1, second}, out);
    CHECK(out.partition == 0);
}

TEST_CASE("properties: ranges, states, rights") {
    Machine m;
    const PartitionId id = create(m);
    const auto set = [&](std::uint32_t code, std::uint64_t value) {
        return m.simple(0x45, hc::SetProperty{id, code, 0, value});
    };
    const auto get = [&](std::uint32_t code) {
        hc::Value64 value;
        Machine::require(m.simple_out(0x44, hc::GetProperty{id, code, 0}, value));
        return value.value;
    };
    CHECK(set(property::kPrivilegeFlags, kGuestPrivileges) == HvStatus::success);
    CHECK(get(property::kPrivilegeFlags) == kGuestPrivileges);
    CHECK(set(property::kPrivilegeFlags, mask_of(Privilege::debugging)) ==
          HvStatus::property_value_out_of_range);  // the root has it not
    CHECK(set(0x1234, 0) == HvStatus::unknown_property);
    CHECK(set(property::kProcessorVendor, 0) == HvStatus::operation_denied);
    CHECK(set(property::kCpuWeight, 0) == HvStatus::property_value_out_of_range);
    CHECK(set(property::kCpuWeight, 10000) == HvStatus::success);
    CHECK(set(property::kCpuWeight, 10001) == HvStatus::property_value_out_of_range);
    CHECK(set(property::kCpuCap, 0x10000) == HvStatus::success);
    CHECK(set(property::kCpuCap, 0x10001) == HvStatus::property_value_out_of_range);
    CHECK(set(property::kProcessorsPerSocket, 2) == HvStatus::success);
    m.deposit(id, 40);
    Machine::require(initialize(m, id));
    CHECK(set(property::kPrivilegeFlags, 0) == HvStatus::invalid_partition_state);
    CHECK(get(property::kApicFrequency) == 25'000'000);
    CHECK(get(property::kPhysicalAddressWidth) == 46);
    CHECK(set(property::kReferenceTime, 12345) == HvStatus::success);
    CHECK(get(property::kReferenceTime) == 12345);
    for (VpIndex i = 0; i < 3; ++i)
        Machine::require(m.simple(0x4e, hc::CreateVp{.partition = id, .vp = i}));
    CHECK(set(property::kProcessorsPerSocket, 4) == HvStatus::invalid_partition_state);
    Partition& partition = *m.hypervisor.find(id);
    CHECK(partition.vp(2)->apic_id() == 2);
    CHECK(set(property::kSuspend, 1) == HvStatus::success);
    partition.vp(0)->set_explicit_suspend(false, m.now);
    CHECK_FALSE(partition.vp(0)->runnable(m.now));
    CHECK(set(property::kSuspend, 0) == HvStatus::success);
    CHECK(partition.vp(0)->runnable(m.now));
}

TEST_CASE("synthetic processor features turn privileges on and off") {
    Machine m;
    const PartitionId id = create(m);
    Partition& partition = *m.hypervisor.find(id);
    CHECK(m.simple(0x45, hc::SetProperty{id, property::kSyntheticProcessorFeatures, 0,
                                         1u << 4 | 1u << 22 | 3}) == HvStatus::success);
    CHECK(partition.has_privilege(Privilege::access_synic));
    CHECK_FALSE(partition.has_privilege(Privilege::access_synthetic_timers));
    CHECK(partition.has_feature(cpuid::kDirectTimers));
    CHECK_FALSE(partition.has_feature(cpuid::kFrequencyMsrs));
    hc::Value64 value;
    m.simple_out(0x44, hc::GetProperty{id, property::kSyntheticProcessorFeatures, 0}, value);
    CHECK(value.value == (1u << 4 | 1u << 22 | 3));
}

TEST_CASE("logical processor times") {
    Machine m;
    hc::LpRunTime out;
    CHECK(m.simple_out(0x04, hc::LpOnly{3, 0}, out) == HvStatus::success);
    CHECK(out.local_run_time == 1003);
    CHECK(out.global_time == 10'000'000);
    CHECK(m.simple(0x04, hc::LpOnly{4, 0}) == HvStatus::invalid_lp_index);
}

TEST_CASE("too little memory for the hypervisor is the user's error") {
    HypervisorConfig config = Machine::default_config();
    config.reserved_pages = 8;
    CHECK_THROWS_AS(Machine{config}, sim::ConfigError);
    config.reserved_pages = ~std::uint64_t{0};
    CHECK_THROWS_AS(Machine{config}, sim::ConfigError);
}
