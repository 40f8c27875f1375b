// Guest-physical spaces: mapping calls, overlays, copies; both table formats.
#include <doctest/doctest.h>

#include "fixture.h"

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::test;

namespace {

std::uint64_t read64(Partition& partition, std::uint64_t gpa) {
    std::array<std::uint8_t, 8> bytes{};
    if (!partition.gpa_space().read(gpa, bytes).ok()) return 0xbad;
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), 8);
    return value;
}

}  // namespace

TEST_CASE("mapping: rights, ownership, ranges") {
    for (const Vendor vendor : {Vendor::intel, Vendor::amd}) {
        HypervisorConfig config = Machine::default_config();
        config.vendor = vendor;
        Machine m(config);
        Partition& child = m.make_child();
        const PartitionId id = child.id();
        const auto map = [&](std::uint64_t target, std::uint32_t flags, std::uint64_t source) {
            return m.rep(0x4b, hc::MapGpa{id, target, flags, 0},
                         std::vector<std::uint64_t>{source});
        };
        CHECK(map(0x1000, 1, 0xc00) == HvStatus::success);
        CHECK(child.gpa_space().visible(0x1000)->system_page == 0xc00);
        CHECK_FALSE(child.gpa_space().visible(0x1000)->rights.write);
        CHECK(m.hypervisor.pages().uses(0xc00) == 1);
        CHECK(map(0x1000, 3, 0xc01) == HvStatus::success);  // replaced
        CHECK(m.hypervisor.pages().uses(0xc00) == 0);
        CHECK(m.shootdown.guest_physical > 0);
        CHECK(map(0x1001, 2, 0xc02) == HvStatus::invalid_parameter);  // write without read
        CHECK(map(0x1001, 0x20, 0xc02) == HvStatus::invalid_parameter);
        CHECK(map(0x1001, 1, 0x1000) == HvStatus::invalid_parameter);  // the hypervisor's page
        CHECK(map(0x1001, 1, 0x2000) == HvStatus::invalid_parameter);  // deposited
        CHECK(map(0x1001, 1, Machine::kRam >> 12) == HvStatus::invalid_parameter);
        CHECK(map(~0ull, 1, 0xc02) == HvStatus::invalid_parameter);
        CHECK(map(std::uint64_t{1} << 34, 1, 0xc02) == HvStatus::invalid_parameter);
        CHECK(map(0x1000, 0x1'0000, 0) == HvStatus::success);  // no access: gone
        CHECK_FALSE(child.gpa_space().visible(0x1000));
        CHECK(m.hypervisor.pages().uses(0xc01) == 0);
        // Root cannot map into itself.
        CHECK(m.rep(0x4b, hc::MapGpa{kSelfPartition, 0, 1, 0}, std::vector<std::uint64_t>{0xc00}) ==
              HvStatus::access_denied);
    }
}

TEST_CASE("large pages: alignment, contents, holes by overlays") {
    Machine m;
    Partition& child = m.make_child();
    const PartitionId id = child.id();
    const std::uint32_t flags = 0xf | hc::kMapLarge;
    const auto map = [&](std::uint64_t target, std::uint64_t source) {
        return m.rep(0x4b, hc::MapGpa{id, target, flags, 0}, std::vector<std::uint64_t>{source});
    };
    CHECK(map(0x200, 0x3000) == HvStatus::success);
    CHECK(child.gpa_space().visible(0x3ff)->system_page == 0x31ff);
    CHECK(m.hypervisor.pages().uses(0x31ff) == 1);
    CHECK(map(0x201, 0x3000) == HvStatus::invalid_parameter);
    CHECK(map(0x400, 0x3001) == HvStatus::invalid_parameter);
    CHECK(map(0x400, 0x2000) == HvStatus::invalid_parameter);  // some pages deposited
    // An overlay in the middle of a large page splits it and heals it again.
    VirtualProcessor& vp = *child.vp(0);
    m.ram.write(std::uint64_t{0x3010} << 12, std::uint64_t{42});
    CHECK(read64(child, 0x210 << 12) == 42);
    vp.write_msr(msr::kSimp, 0x210 << 12 | 1, m.now);
    CHECK(read64(child, 0x210 << 12) == 0);
    CHECK(child.gpa_space().visible(0x211)->system_page == 0x3011);
    // Mapped anew below the overlay, which stays on top.
    CHECK(map(0x200, 0x3200) == HvStatus::success);
    CHECK(read64(child, 0x210 << 12) == 0);
    CHECK(child.gpa_space().visible(0x211)->system_page == 0x3211);
    vp.write_msr(msr::kSimp, 0, m.now);
    CHECK(child.gpa_space().visible(0x210)->system_page == 0x3210);
    // Unmapped large.
    unsigned done = 0;
    CHECK(m.rep(0x4c, hc::UnmapGpa{id, 0x200, hc::kUnmapLarge, 0}, std::span<const std::uint64_t>{},
                done, 1) == HvStatus::success);
    CHECK_FALSE(child.gpa_space().visible(0x210));
    CHECK(m.hypervisor.pages().uses(0x3210) == 0);
}

TEST_CASE("tables need memory: deposit and go on") {
    Machine m;
    Partition& child = m.make_child();
    const PartitionId id = child.id();
    // Empty the pool.
    unsigned done = 0;
    m.rep(0x49, hc::ProximityQuery{id, 0}, std::span<const std::uint64_t>{}, done, 256);
    CHECK(child.pool().available() == 0);
    const std::vector<std::uint64_t> page{0xc00};
    const hc::MapGpa far{id, std::uint64_t{1} << 30, 3, 0};
    unsigned deposits = 0;
    HvStatus status = m.rep(0x4b, far, page);
    while (status == HvStatus::insufficient_memory) {
        CHECK(m.hypervisor.pages().uses(0xc00) == 0);
        m.deposit(id, 1);
        ++deposits;
        status = m.rep(0x4b, far, page);
    }
    CHECK(status == HvStatus::success);
    CHECK(deposits == 3);
    CHECK(m.hypervisor.pages().uses(0xc00) == 1);
}

TEST_CASE("overlays hide and restore guest memory") {
    Machine m;
    Partition& child = m.make_child();
    VirtualProcessor& vp = *child.vp(0);
    m.ram.write(Machine::child(0x5'0000), std::uint64_t{0x1122});
    m.enable_hypercalls(vp);
    CHECK((read64(child, 0x5'0000) & 0xffff'ffff) == 0xc3c1'010f);
    CHECK(read64(child, 0x5'0ff8) == 0xcccc'cccc'cccc'cccc);
    const std::array<std::uint8_t, 1> byte{1};
    CHECK(child.gpa_space().write(0x5'0000, byte).code == GpaResult::Code::denied);
    CHECK(child.gpa_space().is_overlay(0x50));
    // Move it.
    CHECK_FALSE(vp.write_msr(msr::kHypercall, 0x5'1001, m.now).gp);
    CHECK(read64(child, 0x5'0000) == 0x1122);
    CHECK((read64(child, 0x5'1000) & 0xffff'ffff) == 0xc3c1'010f);
    // Two overlays on one page: the later one shows, then the earlier one again.
    vp.write_msr(msr::kVpAssistPage, 0x5'1001, m.now);
    CHECK(read64(child, 0x5'1000) == 0);
    vp.write_msr(msr::kVpAssistPage, 0, m.now);
    CHECK((read64(child, 0x5'1000) & 0xffff'ffff) == 0xc3c1'010f);
    // Over a page that is not mapped.
    vp.write_msr(msr::kSimp, 0x80'0000'1001, m.now);
    CHECK(read64(child, 0x80'0000'1000) == 0);
    vp.write_msr(msr::kSimp, 0, m.now);
    CHECK(read64(child, 0x80'0000'1000) == 0xbad);
    // The page under an overlay is unmapped and mapped again meanwhile.
    unsigned done = 0;
    m.rep(0x4c, hc::UnmapGpa{child.id(), 0x51, 0, 0}, std::span<const std::uint64_t>{}, done, 1);
    CHECK((read64(child, 0x5'1000) & 0xffff'ffff) == 0xc3c1'010f);
    vp.write_msr(msr::kHypercall, 0, m.now);
    CHECK(read64(child, 0x5'1000) == 0xbad);
}

TEST_CASE("overlays without a free page in the pool") {
    Machine m;
    Partition& child = m.make_child();
    unsigned done = 0;
    m.rep(0x49, hc::ProximityQuery{child.id(), 0}, std::span<const std::uint64_t>{}, done, 256);
    // The tables kept aside serve a page far from any mapping ...
    CHECK_FALSE(child.vp(0)->write_msr(msr::kSimp, 0x100'0000'0001, m.now).gp);
    // ... but not endlessly.
    CHECK(child.vp(0)->write_msr(msr::kSiefp, 0x200'0000'0001, m.now).gp);
    CHECK(child.vp(0)->synic().siefp() == 0);
}

TEST_CASE("copies cross pages and stop at the first that is not there") {
    Machine m;
    Partition& child = m.make_child();
    std::vector<std::uint8_t> data(0x3000, 0x77);
    CHECK(child.gpa_space().write(0x800, data).ok());
    std::uint8_t last = 0;
    m.ram.read(Machine::child(0x37ff), last);
    CHECK(last == 0x77);
    const std::uint64_t end = std::uint64_t{Machine::kChildPages} << 12;
    const GpaResult result = child.gpa_space().read(end - 0x800, std::span(data).first(0x1000));
    CHECK(result.code == GpaResult::Code::unmapped);
    CHECK(result.gpa == end);
    CHECK(child.gpa_space().probe(end - 1, 1, GpaAccess::write).ok());
    CHECK_FALSE(child.gpa_space().probe(end - 1, 2, GpaAccess::write).ok());
    CHECK(child.gpa_space().read(~0ull, std::span(data).first(16)).code ==
          GpaResult::Code::unmapped);
}

TEST_CASE("ReadGpa and WriteGpa") {
    Machine m;
    Partition& child = m.make_child();
    const PartitionId id = child.id();
    hc::WriteGpa write{.access = {.partition = id, .byte_count = 16, .gpa = 0x2ff0}};
    write.data[15] = 0x99;
    hc::AccessGpaResult result;
    CHECK(m.simple_out(0x54, write, result) == HvStatus::success);
    CHECK(result.code == 0);
    hc::ReadGpaOut out;
    CHECK(m.simple_out(0x53, write.access, out) == HvStatus::success);
    CHECK(out.data[15] == 0x99);
    write.access.gpa = 0x2ff1;  // crosses the page
    CHECK(m.simple(0x53, write.access) == HvStatus::invalid_parameter);
    write.access = {.partition = id, .byte_count = 17, .gpa = 0};
    CHECK(m.simple(0x53, write.access) == HvStatus::invalid_parameter);
    write.access = {.partition = id, .byte_count = 4, .gpa = 0x7000'0000};
    CHECK(m.simple_out(0x53, write.access, out) == HvStatus::success);
    CHECK(out.result.code == static_cast<std::uint32_t>(hc::AccessGpaCode::unmapped));
    write.access = {.partition = id, .vp = 9, .byte_count = 4, .gpa = 0};
    CHECK(m.simple(0x53, write.access) == HvStatus::invalid_vp_index);
}

TEST_CASE("translation of guest virtual addresses") {
    Machine m;
    Partition& child = m.make_child();
    FakeContext& c = m.context(*child.vp(0));
    // Long mode tables at 0x10000: one page of linear 0x4000'0000'0000 >> ... index 1 -> 0x33000.
    c.crs[3] = 0x1'0000;
    c.crs[4] = 0x20;
    m.ram.write(Machine::child(0x1'0000), std::uint64_t{0x1'1003});
    m.ram.write(Machine::child(0x1'1000), std::uint64_t{0x1'2003});
    m.ram.write(Machine::child(0x1'2000), std::uint64_t{0x1'3003});
    m.ram.write(Machine::child(0x1'3008), std::uint64_t{0x3'3001});  // read-only, supervisor
    const auto translate = [&](std::uint64_t control, std::uint64_t page) {
        hc::TranslateResult out;
        Machine::require(
            m.simple_out(0x52, hc::TranslateAddress{child.id(), 0, 0, control, page}, out));
        return out;
    };
    CHECK(translate(hc::kTranslateRead, 1).code == 0);
    CHECK(translate(hc::kTranslateRead, 1).gpa_page == 0x33);
    CHECK(translate(hc::kTranslateRead, 2).code ==
          static_cast<std::uint32_t>(hc::TranslateCode::page_not_present));
    CHECK(translate(hc::kTranslateRead | hc::kTranslateUser, 1).code ==
          static_cast<std::uint32_t>(hc::TranslateCode::privilege_violation));
    m.ram.write(Machine::child(0x1'3010), std::uint64_t{0x4000'0003});
    CHECK(translate(hc::kTranslateRead, 2).code ==
          static_cast<std::uint32_t>(hc::TranslateCode::gpa_unmapped));
    CHECK(m.simple(0x52, hc::TranslateAddress{child.id(), 0, 0, 0x800, 1}) ==
          HvStatus::invalid_parameter);
}
