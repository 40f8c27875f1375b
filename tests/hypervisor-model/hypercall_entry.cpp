// The entry rules of hypercalls: who may call, form of the input value, where parameters may lie,
// which status wins, what is written and what stays untouched.
#include <doctest/doctest.h>

#include "fixture.h"
#include "hypervisor-model/hypercall/table.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;
using Kind = HypercallOutcome::Kind;

namespace {

constexpr std::uint16_t kGetPartitionId = 0x46, kGetProperty = 0x44, kGetRegisters = 0x50,
                        kPostMessage = 0x5c, kSignalEvent = 0x5d, kFlushListEx = 0x14,
                        kFlushSpace = 0x02, kFlushList = 0x03;

std::uint64_t rax(Machine& m, VirtualProcessor& vp) {
    return m.context(vp).gprs[kRax];
}

}  // namespace

TEST_CASE("only privileged protected-mode code of a partition with a hypercall page may call") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    CHECK(m.raw(vp, kSignalEvent | 1 << 16, 0, 0).kind == Kind::undefined);
    vp.write_msr(msr::kGuestOsId, 1, m.now);
    CHECK(m.raw(vp, kSignalEvent | 1 << 16, 0, 0).kind == Kind::undefined);
    m.enable_hypercalls(vp);
    HypercallOutcome outcome = m.raw(vp, kSignalEvent | 1 << 16, 5, 0);
    CHECK(outcome.kind == Kind::completed);
    CHECK(outcome.status == HvStatus::invalid_connection_id);
    CHECK(rax(m, vp) == 0x12);

    m.context(vp).segments[2].access_rights = 0xc0f3;  // SS.DPL 3
    CHECK(m.raw(vp, kSignalEvent | 1 << 16, 5, 0).kind == Kind::undefined);
    m.context(vp).segments[2].access_rights = 0xc093;
    m.context(vp).crs[0] = 0x10;  // real mode
    CHECK(m.raw(vp, kSignalEvent | 1 << 16, 5, 0).kind == Kind::undefined);
    m.context(vp).crs[0] = 0x8000'0011;
    vp.write_msr(msr::kGuestOsId, 0, m.now);  // takes the page away
    CHECK(m.raw(vp, kSignalEvent | 1 << 16, 5, 0).kind == Kind::undefined);
    CHECK(child.counters().hypercall_ud == 5);
}

TEST_CASE("form of the input value") {
    Machine m;
    VirtualProcessor& vp = m.root_vp();
    const auto status = [&](std::uint64_t control) {
        return m.raw(vp, control, Machine::kInput, Machine::kOutput).status;
    };
    CHECK(status(0x7fff) == HvStatus::invalid_hypercall_code);
    // An unknown code wins over reserved bits.
    CHECK(status(0x7fff | std::uint64_t{1} << 63) == HvStatus::invalid_hypercall_code);
    for (const unsigned bit : {27u, 28u, 29u, 30u, 31u, 44u, 47u, 60u, 63u}) {
        CAPTURE(bit);
        CHECK(status(kGetPartitionId | std::uint64_t{1} << bit) ==
              HvStatus::invalid_hypercall_input);
    }
    CHECK(status(kGetPartitionId) == HvStatus::success);
    CHECK(status(Machine::control(kGetPartitionId, 1)) == HvStatus::invalid_hypercall_input);
    CHECK(status(kGetPartitionId | std::uint64_t{1} << 48) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kGetPartitionId, 0, 1)) == HvStatus::invalid_hypercall_input);
    // Rep calls need repetitions, and start below count.
    CHECK(status(kGetRegisters) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kGetRegisters, 2) | std::uint64_t{2} << 48) ==
          HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kGetRegisters, 2) | std::uint64_t{3} << 48) ==
          HvStatus::invalid_hypercall_input);
    // Variable header where none is defined, larger than a page, output larger than a page.
    CHECK(status(Machine::control(kGetRegisters, 1, 1)) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kFlushListEx, 1, 0x3ff)) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kGetRegisters, 257)) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::control(kFlushList, 4095)) == HvStatus::invalid_hypercall_input);
}

TEST_CASE("where parameters may lie") {
    Machine m;
    VirtualProcessor& vp = m.root_vp();
    const std::uint64_t control = kGetProperty;
    m.ram.write(Machine::kInput, hc::GetProperty{kSelfPartition, 0x6'0000, 0});
    const auto status = [&](std::uint64_t in, std::uint64_t out) {
        return m.raw(vp, control, in, out).status;
    };
    CHECK(status(Machine::kInput, Machine::kOutput) == HvStatus::success);
    CHECK(status(Machine::kInput + 4, Machine::kOutput) == HvStatus::invalid_alignment);
    CHECK(status(Machine::kInput, Machine::kOutput + 1) == HvStatus::invalid_alignment);
    CHECK(status(Machine::kInput + 0xff8, Machine::kOutput) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::kInput + 0xff0, Machine::kOutput) == HvStatus::invalid_partition_id);
    CHECK(status(Machine::kInput, Machine::kOutput + 0xff8) == HvStatus::success);
    // The root has no parent to answer for pages that do not exist.
    CHECK(status(Machine::kRam, Machine::kOutput) == HvStatus::invalid_hypercall_input);
    CHECK(status(Machine::kInput, ~std::uint64_t{7}) == HvStatus::invalid_hypercall_input);
    // The hypervisor's own memory is not the root's.
    CHECK(status(0x1000 << 12, Machine::kOutput) == HvStatus::invalid_hypercall_input);
}

TEST_CASE("a child's inaccessible page is its parent's affair") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    HypercallOutcome outcome = m.raw(vp, kPostMessage, 0x40'0000, 0);
    CHECK(outcome.kind == Kind::memory_intercept);
    CHECK(outcome.gpa == 0x40'0000);
    CHECK_FALSE(outcome.write);
    // Output over the read-only hypercall page; reading from it is fine.
    m.ram.write(Machine::child(Machine::kGuestInput), hc::GetProperty{kSelfPartition, 0x6'0000, 0});
    outcome = m.raw(vp, kGetProperty, Machine::kGuestInput, 0x5'0000);
    CHECK(outcome.kind == Kind::memory_intercept);
    CHECK(outcome.write);
    CHECK(outcome.gpa == 0x5'0000);
    CHECK(m.raw(vp, kPostMessage, 0x5'0000, 0).status == HvStatus::invalid_parameter);
}

TEST_CASE("privilege comes after form and before parameters") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    CHECK(m.raw(vp, kGetPartitionId, 0, 4).status == HvStatus::access_denied);
    CHECK(m.raw(vp, kGetPartitionId | std::uint64_t{1} << 60, 0, 4).status ==
          HvStatus::invalid_hypercall_input);
    CHECK(m.raw(vp, 0x8001, 0, 4).status == HvStatus::access_denied);
    // Every privileged call is closed to a guest.
    for (const HypercallRow& row : hypercall_table()) {
        if (row.privilege == Privilege::none || child.has_privilege(row.privilege)) continue;
        CAPTURE(row.name);
        const std::uint64_t control = Machine::control(row.code, row.rep ? 1 : 0);
        CHECK(m.raw(vp, control, Machine::kGuestInput, Machine::kGuestOutput).status ==
              HvStatus::access_denied);
    }
}

TEST_CASE("output is written only on success, and only so much") {
    Machine m;
    const std::vector<std::uint8_t> poison(4096, 0xa5);
    m.ram.write_bytes(Machine::kOutput, poison);
    hc::Value64 value;
    CHECK(m.simple_out(kGetProperty, hc::GetProperty{kSelfPartition, 0x123, 0}, value) ==
          HvStatus::unknown_property);
    CHECK(value.value == 0xa5a5'a5a5'a5a5'a5a5);
    CHECK(m.simple_out(kGetProperty, hc::GetProperty{kSelfPartition, 0x6'0000, 0}, value) ==
          HvStatus::success);
    CHECK(value.value == 1);
    std::uint64_t next = 0;
    m.ram.read(Machine::kOutput + 8, next);
    CHECK(next == 0xa5a5'a5a5'a5a5'a5a5);
}

TEST_CASE("fast calls: registers, XMM input, XMM output") {
    HypervisorConfig config = Machine::default_config();
    config.root_features.features |= cpuid::kXmmInput | cpuid::kXmmOutput;
    config.root_features.privileges |= mask_of(Privilege::fast_hypercall_output);
    Machine m(config);
    VirtualProcessor& vp = m.root_vp();
    FakeContext& c = m.context(vp);
    // GetPartitionProperty: input in RDX and R8, output in XMM0.
    HypercallOutcome outcome = m.raw(vp, kGetProperty | 1 << 16, kSelfPartition, 0x6'0009);
    CHECK(outcome.status == HvStatus::success);
    std::uint64_t low = 0;
    std::memcpy(&low, c.fx.data() + 160, 8);
    CHECK(low == 2'500'000'000);
    // SetPartitionProperty has 24 bytes: the value in XMM0.
    Partition& child = m.make_child();
    low = 77;
    std::memcpy(c.fx.data() + 160, &low, 8);
    outcome = m.raw(vp, 0x45 | 1 << 16, child.id(), 0x2'0003);
    CHECK(outcome.status == HvStatus::success);
    CHECK(child.scheduling().weight == 77);
    // PostMessage does not fit into 112 bytes.
    CHECK(m.raw(vp, kPostMessage | 1 << 16, 1, 0).status == HvStatus::invalid_hypercall_input);
    // GetPartitionId has no input: output in RDX.
    CHECK(m.raw(vp, kGetPartitionId | 1 << 16, 0, 0).status == HvStatus::success);
    CHECK(c.gprs[kRdx] == 1);

    // Without the features the same calls are malformed.
    Machine plain;
    plain.root().features().features &= ~std::uint32_t{cpuid::kXmmInput};
    CHECK(plain.raw(plain.root_vp(), 0x45 | 1 << 16, 2, 0).status ==
          HvStatus::invalid_hypercall_input);
    CHECK(plain.raw(plain.root_vp(), kGetProperty | 1 << 16, kSelfPartition, 0x6'0009).status ==
          HvStatus::invalid_hypercall_input);
}

TEST_CASE("32-bit callers use register pairs") {
    Machine m;
    VirtualProcessor& vp = m.root_vp();
    FakeContext& c = m.context(vp);
    c.efer_ = 0;
    c.segments[1].access_rights = 0xc09b;
    m.ram.write(Machine::kInput, hc::VpRegisters{kSelfPartition, kSelfVp, 0, {}});
    const std::uint32_t name = reg::kVpIndex;
    m.ram.write(Machine::kInput + sizeof(hc::VpRegisters), name);
    c.gprs[kRdx] = 1;  // one repetition
    c.gprs[kRax] = kGetRegisters;
    c.gprs[kRbx] = 0;
    c.gprs[kRcx] = Machine::kInput;
    c.gprs[kRdi] = 0;
    c.gprs[kRsi] = Machine::kOutput;
    CHECK(m.dispatcher.dispatch(vp, m.now).status == HvStatus::success);
    CHECK(c.gprs[kRdx] == 1);  // repetitions done
    CHECK(c.gprs[kRax] == 0);
}

TEST_CASE("rep calls go on in slices with pending interrupts in between") {
    HypervisorConfig config = Machine::default_config();
    config.reps_per_slice = 3;
    Machine m(config);
    VirtualProcessor& vp = m.root_vp();
    FakeContext& c = m.context(vp);
    m.ram.write(Machine::kInput, hc::VpRegisters{kSelfPartition, 1, 0, {}});
    for (std::uint32_t i = 0; i < 7; ++i) {
        m.context(m.root_vp(1)).gprs[i] = 100 + i;
        m.ram.write(Machine::kInput + 16 + 4 * i, reg::kRax + i);
    }
    HypercallOutcome outcome =
        m.raw(vp, Machine::control(kGetRegisters, 7), Machine::kInput, Machine::kOutput);
    CHECK(outcome.kind == Kind::continue_later);
    CHECK(outcome.reps_done == 3);
    CHECK(c.gprs[kRcx] == (Machine::control(kGetRegisters, 7) | std::uint64_t{3} << 48));
    outcome = m.dispatcher.dispatch(vp, m.now);
    CHECK(outcome.kind == Kind::continue_later);
    outcome = m.dispatcher.dispatch(vp, m.now);
    CHECK(outcome.kind == Kind::completed);
    CHECK(c.gprs[kRax] == std::uint64_t{7} << 32);
    for (std::uint32_t i = 0; i < 7; ++i) {
        RegisterValue value;
        m.ram.read(Machine::kOutput + 16 * i, value);
        CHECK(value.low == 100 + i);
    }
    CHECK(m.root().counters().hypercall_continuations == 2);
}

TEST_CASE("a failing repetition reports how far the call came, and what was done stays") {
    Machine m;
    VirtualProcessor& vp = m.root_vp();
    m.ram.write(Machine::kInput, hc::VpRegisters{kSelfPartition, 1, 0, {}});
    m.ram.write(Machine::kInput + 16, std::uint32_t{reg::kVpIndex});
    m.ram.write(Machine::kInput + 20, std::uint32_t{0xdead});
    m.ram.write(Machine::kOutput + 16, std::uint64_t{0x5555});
    const HypercallOutcome outcome =
        m.raw(vp, Machine::control(kGetRegisters, 2), Machine::kInput, Machine::kOutput);
    CHECK(outcome.status == HvStatus::unknown_register_name);
    CHECK(rax(m, vp) == (std::uint64_t{1} << 32 | 0x87));
    std::uint64_t first = 0, second = 0;
    m.ram.read(Machine::kOutput, first);
    m.ram.read(Machine::kOutput + 16, second);
    CHECK(first == 1);
    CHECK(second == 0x5555);
}

TEST_CASE("flushes reach the processors that mask or set name") {
    Machine m;
    Partition& child = m.make_child(3);
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    auto& flushes = m.shootdown.flushes;
    CHECK(m.guest_call(vp, kFlushSpace, hc::FlushSpace{0x1000, 0, 0b101}).status ==
          HvStatus::success);
    REQUIRE(flushes.size() == 2);
    CHECK(flushes[0].first == child.vp(0));
    CHECK(flushes[1].first == child.vp(2));
    CHECK(flushes[0].second.scope == FlushRequest::Scope::address_space);
    CHECK(flushes[0].second.address_space == 0x1000);
    flushes.clear();
    CHECK(m.guest_call(vp, kFlushSpace, hc::FlushSpace{0, 3, 0}).status == HvStatus::success);
    CHECK(flushes.size() == 3);
    CHECK(flushes[0].second.scope == FlushRequest::Scope::everything);
    CHECK(m.guest_call(vp, kFlushSpace, hc::FlushSpace{0, 0x100, 0}).status ==
          HvStatus::invalid_parameter);
    flushes.clear();
    // Ex list: one bank {1,2}, two ranges; the second is 3 pages long.
    struct {
        hc::FlushSpaceEx header;
        std::uint64_t bank, range0, range1;
    } in{{0x2000, 0, {0, 1}}, 0b110, 0x7000, 0x9002};
    CHECK(m.guest_call(vp, kFlushListEx, in, 2, 1).status == HvStatus::success);
    REQUIRE(flushes.size() == 4);
    CHECK(flushes[0].second.first_linear == 0x7000);
    CHECK(flushes[0].second.page_count == 1);
    CHECK(flushes[3].first == child.vp(2));
    CHECK(flushes[3].second.first_linear == 0x9000);
    CHECK(flushes[3].second.page_count == 3);
    // More banks announced than given, and a format that does not exist.
    in.header.set.valid_bank_mask = 3;
    CHECK(m.guest_call(vp, kFlushListEx, in, 2, 1).status == HvStatus::invalid_parameter);
    in.header.set = {2, 1};
    CHECK(m.guest_call(vp, kFlushListEx, in, 2, 1).status == HvStatus::invalid_parameter);
}

TEST_CASE("synthetic IPIs: vectors, targets, reserved fields") {
    Machine m;
    Partition& child = m.make_child(3);
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    for (VirtualProcessor* each : child.vps()) m.enable_apic(*each);
    const auto fast = [&](std::uint64_t rdx, std::uint64_t r8) {
        return m.raw(vp, 0x1000b, rdx, r8).status;
    };
    CHECK(fast(0xfb, 0b110) == HvStatus::success);
    CHECK_FALSE(child.vp(0)->pending_vector());
    CHECK(child.vp(1)->pending_vector() == 0xfb);
    CHECK(child.vp(2)->pending_vector() == 0xfb);
    CHECK(fast(0x0f, 1) == HvStatus::invalid_parameter);
    CHECK(fast(0x100, 1) == HvStatus::invalid_parameter);
    CHECK(fast(std::uint64_t{1} << 32 | 0xfb, 1) == HvStatus::invalid_parameter);
    CHECK(fast(0xfb, std::uint64_t{1} << 63) == HvStatus::success);  // nobody there
    CHECK(m.guest_call(vp, 0x15, hc::SendIpiEx{0x40, 0, 0, 0, {1, 0}}).status == HvStatus::success);
    CHECK(child.vp(0)->pending_vector() == 0x40);
    CHECK(m.waker.wakes.back().first == child.vp(2));
}

TEST_CASE("hints and devices") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    m.enable_hypercalls(vp);
    CHECK(m.raw(vp, 0x10008, 1000, 0).yield);
    CHECK(m.guest_call(vp, 0x7e,
                       hc::RetargetInterrupt{.partition = kSelfPartition,
                                             .device = 1,
                                             .source = 1,
                                             .vector = 0x50,
                                             .mask_or_format = 1})
              .status == HvStatus::invalid_device_id);
    CHECK(m.guest_call(vp, 0x7e, hc::RetargetInterrupt{.partition = 99, .source = 1}).status ==
          HvStatus::invalid_partition_id);
    CHECK(m.guest_call(vp, 0x7e,
                       hc::RetargetInterrupt{.partition = kSelfPartition, .source = 1, .vector = 3})
              .status == HvStatus::invalid_parameter);
}

TEST_CASE("the table of hypercalls") {
    CHECK(find_hypercall(0x5c)->name == "HvCallPostMessage");
    CHECK(find_hypercall(0x5c)->header_size == 256);
    CHECK(find_hypercall(0x51)->element_in == 32);
    CHECK(find_hypercall(0x50)->output_size == 16);
    CHECK(find_hypercall(0x14)->variable_header);
    CHECK(find_hypercall(0x99)->header_size == 240);
    CHECK(find_hypercall(0) == nullptr);
}
