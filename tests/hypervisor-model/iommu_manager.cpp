// The hypervisor's tables, queue and interrupt entries against a real VT-d unit.
#include "hypervisor-model/host/iommu_manager.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"
#include "hypervisor-model/stack/disk/nvme_driver.h"
#include "iommu/vtd/spec/tables.h"
#include "iommu/vtd/vtd_unit.h"
#include "tests/hypervisor-model/fixture.h"

using namespace hvsim;
using namespace hvsim::hv;
using apic::MsiMessage;
using iommu::vtd::VtdConfig;
using iommu::vtd::VtdUnit;
using iommu::vtd::spec::FaultReason;

namespace {

constexpr std::uint16_t kDevice = 0x0113, kStranger = 0x0208;
constexpr std::uint64_t kPage = sim::kPageSize;
constexpr MsiMessage kFaultMessage{0xfee03000, 0x40e7};

struct Fabric final : apic::InterruptFabric {
    std::vector<apic::InterruptMessage> sent;
    void send(const apic::InterruptMessage& message, apic::InterruptSource, sim::Time) override {
        sent.push_back(message);
    }
};

struct Registers final : IommuRegisters {
    VtdUnit& unit;
    explicit Registers(VtdUnit& used) : unit(used) {}
    std::uint64_t read(std::uint32_t offset, unsigned size) override {
        return unit.read_register(offset, size);
    }
    void write(std::uint32_t offset, unsigned size, std::uint64_t value) override {
        unit.write_register(offset, size, value, 500);
    }
};

/// A device's and a test's view of a unit.
struct Unit {
    sim::Ram& system;
    Fabric fabric;
    VtdUnit unit;
    Registers registers{unit};

    explicit Unit(sim::Ram& used, const VtdConfig& config = {})
        : system(used), unit(config, used, fabric, nullptr) {}

    FaultReason dma(std::uint64_t page, bool write = true, std::uint16_t source = kDevice) {
        const auto result = unit.translate({source, page * kPage + 8, 4, write}, 1000);
        if (result.allowed) CHECK(result.address == page * kPage + 8);
        CHECK(result.allowed == (result.fault_reason == 0));
        return static_cast<FaultReason>(result.fault_reason);
    }
    bool reaches(std::uint64_t page) {
        const bool read = dma(page, false) == FaultReason::none;
        const bool write = dma(page, true) == FaultReason::none;
        CHECK(read == write);
        return write;
    }
    FaultReason interrupt(const MsiMessage& message, std::uint16_t source = kDevice) {
        const auto result = unit.remap_interrupt(source, message, 1000);
        if (result.message) fabric.sent.push_back(*result.message);
        return static_cast<FaultReason>(result.fault_reason);
    }
    std::uint64_t get(std::uint64_t address) const {
        std::uint64_t value = 0;
        REQUIRE(system.read(address, value));
        return value;
    }
    /// Address of the second-level entry that maps `page`, whatever its size.
    std::uint64_t leaf(const IommuManager& manager, std::uint64_t page) const {
        std::uint64_t table = manager.second_level_root();
        for (unsigned level = 4;; --level) {
            const std::uint64_t at = table + (page >> 9 * (level - 1) & 511) * 8;
            if (level == 1 || sim::bit(get(at), 7)) return at;
            REQUIRE(get(at) != 0);
            table = get(at) & 0x000f'ffff'ffff'f000;
        }
    }
};

/// A hypervisor on 64 MiB with reserved pages 0x1000-0x11ff, its root's devices behind the unit.
struct Host : test::Machine, Unit {
    IommuManager manager;

    explicit Host(const VtdConfig& config = {})
        : Unit(Machine::ram, config), manager(Machine::ram, hypervisor.root().pool(), registers) {
        manager.launch(root().gpa_space().mapped());
        manager.attach_device(kDevice);
    }
    void follow() { manager.update(root().gpa_space().mapped()); }
    HvStatus deposit_one(std::uint64_t page) {
        return rep(0x48, hc::PartitionOnly{root().id()}, std::vector<std::uint64_t>{page});
    }
};

/// A manager with exactly so many pages of its own, and memory as the test likes it.
struct Small : Unit {
    sim::Ram memory{16 << 20};
    MemoryPool pool{memory};
    std::uint64_t next_page = 0x100;
    IommuManager manager;

    explicit Small(unsigned pages, const VtdConfig& config = {})
        : Unit(memory, config), manager(memory, give(pages), registers) {}
    MemoryPool& give(unsigned pages) {
        for (unsigned i = 0; i < pages; ++i) pool.deposit({next_page++, kInvalidPartition, 0});
        return pool;
    }
};

PageRuns runs(std::vector<std::pair<std::uint64_t, std::uint64_t>> list) {
    PageRuns memory;
    for (const auto& [first, count] : list) memory.insert(first, count);
    return memory;
}

template <typename Source>
std::map<std::string, std::uint64_t> statistics(const Source& source) {
    struct Collect final : sim::StatisticsSink {
        std::map<std::string, std::uint64_t> values;
        void add(std::string_view name, std::uint64_t value, std::string_view,
                 std::string_view) override {
            values[std::string(name)] = value;
        }
    } sink;
    source.collect(sink);
    return sink.values;
}

}  // namespace

TEST_CASE("DMA reaches what the root was given, no other page and no other device") {
    Host h;
    for (const std::uint64_t page : {0x0u, 0x1u, 0x1ffu, 0x200u, 0xfffu, 0x1200u, 0x3fffu})
        CHECK(h.reaches(page));
    // The hypervisor's own, with its tables.
    for (const std::uint64_t page : {0x1000u, 0x1001u, 0x1100u, 0x11ffu})
        CHECK(h.dma(page, true) == FaultReason::write_denied);
    CHECK(h.dma(sim::page_of(h.manager.root_table())) == FaultReason::write_denied);
    CHECK(h.dma(sim::page_of(h.manager.interrupt_table()), false) == FaultReason::read_denied);
    // No memory there.
    CHECK(h.dma(0x4000) == FaultReason::write_denied);
    CHECK(h.dma(std::uint64_t{1} << 36) == FaultReason::address_too_wide);
    CHECK(h.dma(0, true, kStranger) == FaultReason::root_not_present);
    CHECK(h.dma(0, true, kDevice + 1) == FaultReason::context_not_present);
    h.manager.attach_device(kStranger);
    CHECK(h.dma(0, true, kStranger) == FaultReason::none);
    CHECK(h.dma(0x1000, true, kStranger) == FaultReason::write_denied);
    CHECK(statistics(h.manager).at("iommu_manager.pages") == 0x4000 - 0x200);
    CHECK(h.unit.counters().undefined_commands == 0);
}

TEST_CASE("every page size that the unit has, and none that it has not") {
    for (const auto& [has_2m, has_1g] :
         {std::pair{true, true}, {true, false}, {false, false}, {false, true}}) {
        VtdConfig config;
        config.pages_2m = has_2m;
        config.pages_1g = has_1g;
        Small s(1100, config);
        constexpr std::uint64_t kGiB = 0x40000;
        s.manager.launch(runs({{3, 0x3fd}, {kGiB, kGiB}}));
        s.manager.attach_device(kDevice);
        for (const std::uint64_t page : {3u, 0x1ffu, 0x200u, 0x3ffu}) CHECK(s.reaches(page));
        CHECK(!s.reaches(2));
        CHECK(!s.reaches(0x400));
        for (const std::uint64_t page : {kGiB, kGiB + 0x12345, 2 * kGiB - 1})
            CHECK(s.reaches(page));
        CHECK(!s.reaches(kGiB - 1));
        CHECK(!s.reaches(2 * kGiB));
        CHECK(s.manager.withheld_pages() == 0);
        CHECK(sim::bit(s.get(s.leaf(s.manager, 0x234)), 7) == has_2m);
    }
}

TEST_CASE("a page that the root deposits is out of reach; withdrawn, it is back") {
    Host h;
    constexpr std::uint64_t kGiven = 0x2345;
    CHECK(h.reaches(kGiven));  // now in the IOTLB, as part of a large page
    REQUIRE(h.deposit_one(kGiven) == HvStatus::success);
    h.follow();
    CHECK(!h.reaches(kGiven));
    CHECK(h.reaches(kGiven - 1));
    CHECK(h.reaches(kGiven + 1));
    // The domain's tables may lie in that very page: another one comes back.
    for (std::uint64_t page = kGiven + 16; page < kGiven + 24; ++page)
        REQUIRE(h.deposit_one(page) == HvStatus::success);
    h.follow();
    h.ram.write(Host::kInput, hc::ProximityQuery{h.root().id(), 0});
    REQUIRE(h.raw(h.root_vp(), Host::control(0x49, 1), Host::kInput, Host::kOutput).status ==
            HvStatus::success);
    const std::uint64_t back = h.get(Host::kOutput);
    CHECK(back > kGiven);
    CHECK(!h.reaches(back));
    h.follow();
    CHECK(h.reaches(back));
    // A child's pool too, and many pages.
    Partition& child = h.make_child();
    h.follow();
    for (std::uint64_t page = 0x2000; page < h.next_deposit; ++page) CHECK(!h.reaches(page));
    CHECK(h.reaches(h.next_deposit));
    CHECK(child.id() != h.root().id());
    // The child's memory is the root's, and stays in reach.
    CHECK(h.reaches(Host::kChildMemory));
}

TEST_CASE("the domain follows each change of the root's memory as it is made") {
    Host h;
    h.shootdown.on_guest_physical = [&h](Partition& partition) {
        if (partition.is_root()) h.follow();
    };
    constexpr std::uint64_t kGiven = 0x2345;
    for (std::uint64_t page = kGiven; page < kGiven + 8; ++page) {
        CHECK(h.reaches(page));
        REQUIRE(h.deposit_one(page) == HvStatus::success);
        CHECK(!h.reaches(page));
    }
    h.ram.write(Host::kInput, hc::ProximityQuery{h.root().id(), 0});
    REQUIRE(h.raw(h.root_vp(), Host::control(0x49, 1), Host::kInput, Host::kOutput).status ==
            HvStatus::success);
    CHECK(h.reaches(h.get(Host::kOutput)));
}

TEST_CASE("a change of a second-level entry is seen after its invalidation, not before") {
    Host h;
    constexpr std::uint64_t kOther = 0x3000;
    CHECK(h.reaches(kOther));
    const std::uint64_t entry = h.leaf(h.manager, kOther);
    const std::uint64_t before = h.get(entry);
    h.ram.write(entry, std::uint64_t{0});
    CHECK(h.reaches(kOther));
    h.manager.invalidate_interrupt_entries();  // not that one
    CHECK(h.reaches(kOther));
    h.manager.invalidate_domain();
    CHECK(h.dma(kOther) == FaultReason::write_denied);
    CHECK(h.dma(kOther, false) == FaultReason::read_denied);
    h.ram.write(entry, before & ~std::uint64_t{2});  // read only
    h.manager.invalidate_domain();
    CHECK(h.dma(kOther, false) == FaultReason::none);
    CHECK(h.dma(kOther) == FaultReason::write_denied);
}

TEST_CASE("an interrupt reaches its processor, from its device alone") {
    Host h;
    const MsiMessage first = h.manager.allocate_interrupt(kDevice, 2, 0x51);
    const MsiMessage second = h.manager.allocate_interrupt(kStranger, 3, 0x52);
    CHECK(first == MsiMessage{0xfee00010, 0});
    CHECK(second == MsiMessage{0xfee00030, 0});
    CHECK(h.interrupt(first) == FaultReason::none);
    CHECK(h.interrupt(second, kStranger) == FaultReason::none);
    REQUIRE(h.fabric.sent.size() == 2);
    apic::InterruptMessage expected;
    expected.destination = 2;
    expected.vector = 0x51;
    CHECK(h.fabric.sent[0] == expected);
    CHECK(h.fabric.sent[1].destination == 3);
    CHECK(h.fabric.sent[1].vector == 0x52);
    CHECK(h.interrupt(second) == FaultReason::source_rejected);
    CHECK(h.interrupt(first, kDevice ^ 1) == FaultReason::source_rejected);
    CHECK(h.interrupt({0xfee00050, 0}) == FaultReason::irte_not_present);
    CHECK(h.interrupt({0xfee02010, 0}) == FaultReason::index_too_large);  // 256 entries
    CHECK(h.interrupt({0xfee02000, 0x51}) == FaultReason::compatibility_blocked);
    CHECK(h.fabric.sent.size() == 2);
}

TEST_CASE("a change of an interrupt entry is seen after its invalidation, not before") {
    Host h;
    const MsiMessage message = h.manager.allocate_interrupt(kDevice, 2, 0x51);
    const auto vector = [&] {
        CHECK(h.interrupt(message) == FaultReason::none);
        return static_cast<unsigned>(h.fabric.sent.back().vector);
    };
    CHECK(vector() == 0x51);
    const std::uint64_t entry = h.manager.interrupt_table();
    h.ram.write(entry, h.get(entry) + 0x10000);
    CHECK(vector() == 0x51);
    h.manager.invalidate_domain();  // not that one
    CHECK(vector() == 0x51);
    h.manager.invalidate_interrupt_entries();
    CHECK(vector() == 0x52);
    h.manager.retarget_interrupt(message, 0xfe, 0x53);
    CHECK(vector() == 0x53);
    CHECK(h.fabric.sent.back().destination == 0xfe);
    CHECK(h.interrupt(message, kStranger) == FaultReason::source_rejected);
    CHECK_THROWS_AS(h.manager.retarget_interrupt(message, 0xff, 0x53), sim::ConfigError);
}

TEST_CASE("faults interrupt the hypervisor, are taken and cleared") {
    Host h;
    h.manager.set_fault_interrupt(kFaultMessage);
    CHECK(h.manager.take_faults().size() == 0);
    CHECK(h.dma(0x1000) == FaultReason::write_denied);
    REQUIRE(h.fabric.sent.size() == 1);
    CHECK(h.fabric.sent[0].vector == 0xe7);
    CHECK(h.fabric.sent[0].destination == 3);
    CHECK(h.dma(0x1003, false) == FaultReason::read_denied);
    CHECK(h.interrupt({0xfee000f0, 0}, kStranger) == FaultReason::irte_not_present);
    CHECK(h.fabric.sent.size() == 1);  // the first is still pending (7.3)
    CHECK(h.manager.take_faults().size() == 3);
    const std::vector<IommuFault> taken(h.manager.faults().begin(), h.manager.faults().end());
    REQUIRE(taken.size() == 3);
    CHECK(taken[0] == IommuFault{kDevice, 0x05, false, false, 0x1000 * kPage});
    CHECK(taken[1] == IommuFault{kDevice, 0x06, false, true, 0x1003 * kPage});
    CHECK(taken[2] == IommuFault{kStranger, 0x22, true, false, 7});
    CHECK(h.manager.take_faults().size() == 0);
    CHECK(h.dma(0x1001) == FaultReason::write_denied);
    CHECK(h.fabric.sent.size() == 2);
    CHECK(h.manager.take_faults().size() == 1);
}

TEST_CASE("more faults than records: the oldest are kept, the next one interrupts again") {
    Host h;  // eight records
    h.manager.set_fault_interrupt(kFaultMessage);
    // The records begin anywhere.
    for (unsigned i = 0; i < 5; ++i) CHECK(h.dma(0x1000 + i) == FaultReason::write_denied);
    CHECK(h.manager.take_faults().size() == 5);
    for (unsigned i = 0; i < 20; ++i) CHECK(h.dma(0x1010 + i) == FaultReason::write_denied);
    CHECK(h.manager.take_faults().size() == 8);
    for (unsigned i = 0; i < 8; ++i)
        CHECK(h.manager.faults()[5 + i].address == (0x1010 + i) * kPage);
    CHECK(h.fabric.sent.size() == 2);
    CHECK(h.dma(0x1000) == FaultReason::write_denied);
    CHECK(h.fabric.sent.size() == 3);
    CHECK(h.manager.take_faults().size() == 1);
    const auto values = statistics(h.manager);
    CHECK(values.at("iommu_manager.faults") == 14);
    CHECK(values.at("iommu_manager.fault_overflows") == 1);
    // A log of bounded length, the newest last.
    for (unsigned i = 0; i < 40; ++i) {
        CHECK(h.dma(0x1020 + i) == FaultReason::write_denied);
        CHECK(h.manager.take_faults().size() == 1);
    }
    CHECK(h.manager.faults().size() == IommuManager::kKeptFaults);
    CHECK(h.manager.faults().back().address == (0x1020 + 39) * kPage);
}

TEST_CASE("without pages for tables lost memory is out of reach all the same") {
    constexpr std::uint64_t kGiB = 0x40000;
    // Four pages of the manager, top table, third level, contexts: none is left.
    Small s(7);
    s.manager.launch(runs({{0, 2 * kGiB}}));
    s.manager.attach_device(kDevice);
    CHECK(s.pool.available() == 0);
    CHECK(s.reaches(5));
    CHECK(s.reaches(kGiB + 5));
    const PageRuns less = runs({{0, 5}, {6, 2 * kGiB - 6}});
    s.manager.update(less);
    CHECK(!s.reaches(5));
    CHECK(!s.reaches(6));  // shared its large page
    CHECK(s.reaches(kGiB + 5));
    CHECK(s.manager.withheld_pages() == kGiB - 1);
    // One page is not enough for two levels below, and is not kept.
    s.give(1);
    s.manager.update(less);
    CHECK(!s.reaches(5));
    CHECK(!s.reaches(6));
    CHECK(s.manager.withheld_pages() == kGiB - 1);
    s.give(1);
    s.manager.update(less);
    CHECK(!s.reaches(5));
    CHECK(s.reaches(4));
    CHECK(s.reaches(6));
    CHECK(s.reaches(kGiB - 1));
    CHECK(s.manager.withheld_pages() == 0);
    // A loss across regions.
    s.manager.update(runs({{0, 5}}));
    CHECK(s.reaches(4));
    CHECK(!s.reaches(6));
    CHECK(!s.reaches(kGiB));
    s.manager.update({});
    CHECK(!s.reaches(0));
}

TEST_CASE("the invalidation queue goes round") {
    Host h;
    CHECK(h.reaches(0x3000));
    const std::uint64_t entry = h.leaf(h.manager, 0x3000);
    const std::uint64_t present = h.get(entry);
    for (unsigned i = 0; i < 600; ++i) {
        h.ram.write(entry, i % 2 == 0 ? 0 : present);
        h.manager.invalidate_domain();
        REQUIRE(h.reaches(0x3000) == (i % 2 != 0));
    }
}

TEST_CASE("what the user can mend") {
    const auto refuses = [](unsigned pages, const VtdConfig& config) {
        CHECK_THROWS_AS(Small(pages, config), sim::ConfigError);
    };
    refuses(0, {});
    refuses(4, {});
    VtdConfig narrow;
    narrow.four_level = false;
    refuses(100, narrow);
    Small tight(5);
    tight.manager.launch({});
    CHECK_THROWS_AS(tight.manager.attach_device(kDevice), sim::ConfigError);
    Host h;
    CHECK_THROWS_AS(h.manager.allocate_interrupt(kDevice, 0xff, 0x51), sim::ConfigError);
    for (unsigned i = 0; i < 256; ++i) {
        const MsiMessage message = h.manager.allocate_interrupt(kDevice, i % 4, 0x51);
        CHECK(h.interrupt(message) == FaultReason::none);
        CHECK(h.fabric.sent.back().destination == i % 4);
    }
    CHECK_THROWS_AS(h.manager.allocate_interrupt(kDevice, 1, 0x51), sim::ConfigError);
}

// --- the root's disk driver behind the unit ---

namespace {

namespace nvme = devices::nvme;

struct RemappedDma final : devices::DmaPort {
    Unit& unit;
    explicit RemappedDma(Unit& used) : unit(used) {}
    bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time now,
              sim::Duration&) override {
        const auto found = unit.unit.translate({kDevice, address, out.size(), false}, now);
        return found.allowed && found.length == out.size() &&
               unit.system.read_bytes(found.address, out);
    }
    bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time now,
               sim::Duration&) override {
        if (iommu::is_interrupt_address(address)) {
            const auto data = devices::load_le<std::uint32_t>(in, 0);
            return unit.interrupt({address, data}) == FaultReason::none;
        }
        const auto found = unit.unit.translate({kDevice, address, in.size(), true}, now);
        return found.allowed && found.length == in.size() &&
               unit.system.write_bytes(found.address, in);
    }
};

struct RootCore final : stack::CoreAccess {
    sim::Ram& ram;
    nvme::NvmeController& controller;
    sim::Time time = 0;
    RootCore(sim::Ram& memory, nvme::NvmeController& device) : ram(memory), controller(device) {}
    bool read_memory(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        return ram.read_bytes(gpa, out);
    }
    bool write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        return ram.write_bytes(gpa, in);
    }
    std::uint64_t read_device(std::uint64_t gpa, unsigned size) override {
        return controller.read_register(gpa, size, time);
    }
    void write_device(std::uint64_t gpa, unsigned size, std::uint64_t value) override {
        controller.write_register(gpa, size, value, time);
    }
    void charge(sim::Duration cost) override {
        time += cost;
        controller.advance_to(time);
    }
    sim::Time now() const override { return time; }
};

struct LastStatus final : stack::DiskCompletionHandler {
    std::vector<stack::DiskStatus> over;
    void disk_completed(sim::Time, std::uint64_t, stack::DiskStatus status) override {
        over.push_back(status);
    }
};

}  // namespace

TEST_CASE("the disk works through the domain, and fails where the root gave its page away") {
    Host h;
    RemappedDma dma(h);
    devices::DiskImage disk(1 << 20, 512);
    nvme::NvmeController controller({}, {&disk}, dma, nullptr);
    RootCore core(h.ram, controller);
    LastStatus handler;
    const MsiMessage message = h.manager.allocate_interrupt(kDevice, 1, 0x60);
    stack::NvmeDriverConfig config;
    config.memory = 0x80'0000;
    config.memory_size = 0x20'0000;
    config.interrupt = {message.address, message.data};
    stack::NvmeDriver driver(config, core, handler);
    driver.start();
    while (!driver.ready()) driver.continue_start();

    const auto write = [&](std::uint64_t page) {
        driver.submit({1, stack::DiskOperation::write, false, {{0, 8}}, {{page * kPage, kPage}}},
                      1);
        h.fabric.sent.clear();
        core.charge(sim::kMillisecond);
        REQUIRE(h.fabric.sent.size() == 1);
        CHECK(h.fabric.sent[0].vector == 0x60);
        driver.on_interrupt();
        REQUIRE(!handler.over.empty());
        return handler.over.back();
    };
    constexpr std::uint64_t kData = 0x2222;
    CHECK(write(kData) == stack::DiskStatus::ok);
    REQUIRE(h.deposit_one(kData) == HvStatus::success);
    h.follow();
    CHECK(write(kData) == stack::DiskStatus::dma_fault);
    CHECK(write(0x1000) == stack::DiskStatus::dma_fault);
    CHECK(write(kData + 1) == stack::DiskStatus::ok);
    CHECK(h.manager.take_faults().size() == 2);
    CHECK(h.manager.faults()[0] == IommuFault{kDevice, 0x06, false, true, kData * kPage});
}
