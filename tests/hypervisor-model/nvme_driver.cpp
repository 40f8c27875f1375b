// The root's disk driver against the disk controller, with memory behind no IOMMU.
#include "hypervisor-model/stack/disk/nvme_driver.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"
#include "sim/error.h"
#include "sim/ram.h"

using namespace hvsim;
using namespace hvsim::hv::stack;
using devices::DiskImage;
using devices::nvme::NvmeConfig;
using devices::nvme::NvmeController;

namespace {

constexpr std::uint64_t kRegisters = 0xfd000000;
constexpr std::uint64_t kDriverMemory = 0x100000;
constexpr std::uint64_t kData = 0x1000000;
constexpr InterruptMessage kMessage{0xfee01018, 0x4031};

/// Memory and messages; a page can be refused to the device or denied to the software.
struct Memory final : devices::DmaPort {
    sim::Ram ram{64 << 20};
    std::uint64_t refused_page = ~std::uint64_t{0};
    std::vector<InterruptMessage> messages;

    bool refuses(std::uint64_t address) const { return sim::page_of(address) == refused_page; }
    bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time,
              sim::Duration&) override {
        return !refuses(address) && ram.read_bytes(address, out);
    }
    bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time,
               sim::Duration&) override {
        if (address >= 0xfee00000 && address < 0xfef00000) {
            messages.push_back({address, devices::load_le<std::uint32_t>(in, 0)});
            return true;
        }
        return !refuses(address) && ram.write_bytes(address, in);
    }
};

/// A core whose time goes on as the software works, and with it the controller.
struct TestCore final : CoreAccess {
    Memory& memory;
    NvmeController* controller = nullptr;
    sim::Time time = 0;
    std::uint64_t denied_page = ~std::uint64_t{0};
    std::uint64_t device_reads = 0;

    explicit TestCore(Memory& used) : memory(used) {}
    bool denies(std::uint64_t gpa, std::size_t size) const {
        return sim::page_of(gpa) == denied_page || sim::page_of(gpa + size - 1) == denied_page;
    }
    bool read_memory(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        return !denies(gpa, out.size()) && memory.ram.read_bytes(gpa, out);
    }
    bool write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        return !denies(gpa, in.size()) && memory.ram.write_bytes(gpa, in);
    }
    std::uint64_t read_device(std::uint64_t gpa, unsigned size) override {
        ++device_reads;
        charge(200 * sim::kNanosecond);
        if (controller == nullptr) return ~std::uint64_t{0};
        return controller->read_register(gpa - kRegisters, size, time);
    }
    void write_device(std::uint64_t gpa, unsigned size, std::uint64_t value) override {
        charge(100 * sim::kNanosecond);
        controller->write_register(gpa - kRegisters, size, value, time);
    }
    void charge(sim::Duration cost) override {
        time += cost;
        if (controller != nullptr) controller->advance_to(time);
    }
    sim::Time now() const override { return time; }
};

NvmeDriverConfig driver_config(unsigned depth = 8) {
    NvmeDriverConfig config;
    config.registers = kRegisters;
    config.memory = kDriverMemory;
    config.memory_size = 0x200000;
    config.interrupt = kMessage;
    config.queue_depth = depth;
    return config;
}

NvmeConfig controller_config() {
    NvmeConfig config;
    config.transfer_pages_log2 = 2;  // 16 KiB
    return config;
}

struct Bench final : DiskCompletionHandler {
    DiskImage disk{4096 * 512, 512};
    DiskImage second{std::uint64_t{256} * 4096, 4096};
    Memory memory;
    sim::Recorder recorder;
    NvmeController controller;
    TestCore core{memory};
    NvmeDriver driver;
    std::vector<std::pair<std::uint64_t, DiskStatus>> over;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> issued;
    std::optional<std::pair<DiskRequest, std::uint64_t>> submit_when_told;
    std::size_t answered = 0;  // messages that the software has taken

    explicit Bench(const NvmeDriverConfig& config = driver_config(),
                   const NvmeConfig& hardware = controller_config(), bool started = true)
        : controller(hardware, {&disk, &second}, memory, &recorder), driver(config, core, *this) {
        core.controller = &controller;
        if (started) start();
    }
    void start() {
        driver.start();
        while (!driver.ready()) driver.continue_start();
    }
    void disk_completed(sim::Time now, std::uint64_t token, DiskStatus status) override {
        CHECK(now == core.time);
        over.emplace_back(token, status);
        if (!submit_when_told) return;
        const auto next = *std::exchange(submit_when_told, std::nullopt);
        driver.submit(next.first, next.second);
    }
    void disk_issued(sim::Time now, std::uint64_t token, std::uint32_t command) override {
        CHECK(now == core.time);
        issued.emplace_back(token, command);
    }
    void take_interrupts() {
        while (answered != memory.messages.size()) {
            CHECK(memory.messages[answered].address == kMessage.address);
            CHECK(memory.messages[answered].data == kMessage.data);
            ++answered;
            driver.on_interrupt();
        }
    }
    void run() {
        for (;;) {
            take_interrupts();
            if (controller.next_deadline() == sim::kNever) return;
            core.time = std::max(core.time, controller.next_deadline());
            controller.advance_to(core.time);
        }
    }
    static DiskRequest transfer(DiskOperation operation, std::uint64_t lba, std::uint64_t blocks,
                                std::vector<MemorySegment> segments, std::uint32_t disk = 1) {
        return {disk, operation, false, {{lba, blocks}}, std::move(segments)};
    }
    DiskStatus issue(const DiskRequest& request) {
        over.clear();
        driver.submit(request, 77);
        run();
        REQUIRE(over.size() == 1);
        CHECK(over[0].first == 77);
        CHECK(driver.outstanding() == 0);
        return over[0].second;
    }
    void fill(std::uint64_t address, std::uint64_t size, unsigned seed) {
        std::vector<std::uint8_t> bytes(size);
        for (std::size_t i = 0; i < size; ++i)
            bytes[i] = static_cast<std::uint8_t>(i * 37 + i / 251 + seed * 11);
        REQUIRE(memory.ram.write_bytes(address, bytes));
    }
    std::vector<std::uint8_t> gather(const std::vector<MemorySegment>& segments) {
        std::vector<std::uint8_t> all;
        for (const MemorySegment& segment : segments) {
            std::vector<std::uint8_t> bytes(segment.length);
            REQUIRE(memory.ram.read_bytes(segment.address, bytes));
            all.insert(all.end(), bytes.begin(), bytes.end());
        }
        return all;
    }
    std::vector<std::uint8_t> on_disk(std::uint64_t lba, std::uint64_t blocks) {
        std::vector<std::uint8_t> bytes(blocks * 512);
        disk.read(lba * 512, bytes);
        return bytes;
    }
    std::uint64_t statistic(const std::string& name) const {
        struct Collect final : sim::StatisticsSink {
            std::map<std::string, std::uint64_t> values;
            void add(std::string_view key, std::uint64_t value, std::string_view,
                     std::string_view) override {
                values[std::string(key)] = value;
            }
        } sink;
        driver.collect(sink);
        controller.collect(sink);
        return sink.values.at(name);
    }
};

}  // namespace

TEST_CASE("the start finds the disks and what they can") {
    Bench b;
    CHECK(b.driver.disks() == std::vector<std::uint32_t>{1, 2});
    CHECK(b.driver.properties(1).block_size == 512);
    CHECK(b.driver.properties(1).blocks == 4096);
    CHECK(b.driver.properties(2).block_size == 4096);
    CHECK(b.driver.properties(2).blocks == 256);
    CHECK(b.driver.properties(1).discard);
    CHECK(b.driver.properties(1).write_cache);
    CHECK(!b.driver.properties(1).write_protected);
    CHECK(b.driver.properties(3).block_size == 0);
    // The controller needs 1 ms to be enabled, the driver looked every 10 us: that took its time.
    CHECK(b.core.time >= sim::kMillisecond);
    CHECK(b.core.time < 2 * sim::kMillisecond);
    CHECK(b.core.device_reads > 50);
    // Nothing interrupted: the admin queue's vector is masked.
    CHECK(b.memory.messages.empty());
    // MSI-X entry 1 has the hypervisor's message.
    sim::Time now = b.core.time;
    CHECK(b.controller.read_register(0x2010, 8, now) == kMessage.address);
    CHECK(b.controller.read_register(0x2018, 8, now) == kMessage.data);
}

TEST_CASE("data in any layout goes to the disk and comes back") {
    using Segments = std::vector<MemorySegment>;
    struct Case {
        const char* name;
        Segments segments;
        std::uint64_t commands;  // of one direction
        std::uint64_t bounced;   // bytes, of one direction
    };
    const std::vector<Case> cases{
        {"one block", {{kData, 512}}, 1, 0},
        {"one page", {{kData, 4096}}, 1, 0},
        {"two pages", {{kData + 0x5000, 4096}, {kData, 4096}}, 1, 0},
        {"offset in the first page", {{kData + 0x600, 0xa00}, {kData + 0x8000, 0x600}}, 1, 0},
        {"a list", {{kData + 0x800, 0x800}, {kData + 0x8000, 0x1000}, {kData, 0x200}}, 1, 0},
        {"contiguous", {{kData + 0x200, 0x3e00}}, 1, 0},
        {"pieces of one page", {{kData + 0x200, 0x200}, {kData + 0x400, 0x200}}, 1, 0},
        {"more than MDTS", {{kData, 0x9000}}, 3, 0},
        {"more than MDTS at an offset", {{kData + 0x400, 0x9000}}, 3, 0},
        {"breaks at blocks", {{kData, 0x200}, {kData + 0x2000, 0x200}, {kData, 0x400}}, 3, 0},
        {"empty segments", {{kData, 0}, {kData, 0x200}, {5, 0}, {kData + 0x1000, 0x200}}, 2, 0},
        {"a break inside of a block", {{kData, 0x100}, {kData + 0x1000, 0x100}}, 1, 0x200},
        {"an odd address", {{kData + 1, 0x3000}}, 1, 0x3000},
        {"bounce, then direct",
         {{kData, 0x100}, {kData + 0x1100, 0x100}, {kData + 0x3000, 0x400}},
         2,
         0x200},
        {"direct, bounce, direct",
         {{kData, 0x300}, {kData + 0x1000, 0x100}, {kData + 0x2000, 0x200}},
         3,
         0x200},
        {"shifted by one byte over pages",
         {{kData + 0xfff, 1}, {kData + 0x3000, 0x1000}, {kData + 0x6000, 0xfff}},
         1,
         0x2000},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        Bench b;
        b.fill(kData - 0x1000, 0x10000, 3);
        const auto expected = b.gather(c.segments);
        const std::uint64_t blocks = expected.size() / 512;
        CHECK(b.issue(Bench::transfer(DiskOperation::write, 9, blocks, c.segments)) ==
              DiskStatus::ok);
        CHECK(b.on_disk(9, blocks) == expected);
        CHECK(b.on_disk(9 + blocks, 1) == std::vector<std::uint8_t>(512));
        CHECK(b.statistic("root.nvme.commands") == c.commands);
        CHECK(b.statistic("nvme.writes") == c.commands);
        CHECK(b.statistic("root.nvme.bounced_bytes") == c.bounced);

        // Back: only the segments change.
        std::vector<std::uint8_t> all(0x10000, 0xee);
        REQUIRE(b.memory.ram.write_bytes(kData - 0x1000, all));
        CHECK(b.issue(Bench::transfer(DiskOperation::read, 9, blocks, c.segments)) ==
              DiskStatus::ok);
        std::size_t from = 0;
        for (const MemorySegment& segment : c.segments) {
            if (segment.length == 0) continue;
            std::copy_n(
                expected.begin() + static_cast<std::ptrdiff_t>(from), segment.length,
                all.begin() + static_cast<std::ptrdiff_t>(segment.address - (kData - 0x1000)));
            from += segment.length;
        }
        CHECK((b.gather({{kData - 0x1000, 0x10000}}) == all));
        CHECK(b.statistic("root.nvme.commands") == 2 * c.commands);
    }
}

TEST_CASE("the largest command: 512 pages from an offset") {
    NvmeConfig hardware;
    hardware.transfer_pages_log2 = 10;
    Bench b(driver_config(), hardware);
    b.fill(kData, 0x200000 + 0x1000, 5);
    const std::vector<MemorySegment> segments{{kData + 0x200, 0x1ffe00}};
    CHECK(b.issue(Bench::transfer(DiskOperation::write, 0, 4095, segments)) == DiskStatus::ok);
    CHECK((b.on_disk(0, 4095) == b.gather(segments)));
    CHECK(b.statistic("root.nvme.commands") == 1);
    CHECK(b.statistic("root.nvme.prp_lists") == 1);
}

TEST_CASE("each command is told with its request, as the controller names it") {
    struct Keep final : sim::EventSink {
        std::vector<std::uint64_t> taken;
        void on_event(const sim::Event& event) override {
            if (event.kind == sim::EventKind::kDiskRequest) taken.push_back(event.arguments[0]);
        }
    } keep;
    Bench b;
    b.recorder.set_sink(&keep, sim::EventLevel::event);
    b.issued.clear();
    CHECK(b.issue(Bench::transfer(DiskOperation::read, 0, 128, {{kData, 0x10000}})) ==
          DiskStatus::ok);
    REQUIRE(b.issued.size() == 4);  // of 16 KiB each
    REQUIRE(keep.taken.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(b.issued[i].first == 77);
        CHECK(b.issued[i].second == keep.taken[i]);
    }
}

TEST_CASE("blocks of 4096 bytes") {
    Bench b;
    b.fill(kData, 0x4000, 1);
    // 512-byte pieces: each block is copied.
    std::vector<MemorySegment> segments;
    for (std::uint64_t i = 0; i < 16; ++i) segments.push_back({kData + (15 - i) * 0x400, 0x200});
    CHECK(b.issue(Bench::transfer(DiskOperation::write, 254, 2, segments, 2)) == DiskStatus::ok);
    std::vector<std::uint8_t> bytes(8192);
    b.second.read(std::uint64_t{254} * 4096, bytes);
    CHECK(bytes == b.gather(segments));
    CHECK(b.statistic("root.nvme.bounced_bytes") == 8192);
}

TEST_CASE("flush, discard, force unit access") {
    Bench b;
    b.fill(kData, 0x4000, 1);
    DiskRequest write = Bench::transfer(DiskOperation::write, 0, 32, {{kData, 0x4000}});
    write.force_unit_access = true;
    CHECK(b.issue(write) == DiskStatus::ok);
    CHECK(b.issue({1, DiskOperation::flush, false, {}, {}}) == DiskStatus::ok);
    CHECK(b.statistic("nvme.flushes") == 1);
    CHECK(b.issue({1, DiskOperation::discard, false, {{1, 2}, {5, 0}, {8, 4}}, {}}) ==
          DiskStatus::ok);
    const auto expected = b.gather({{kData, 0x4000}});
    const auto found = b.on_disk(0, 32);
    for (std::size_t lba = 0; lba < 32; ++lba) {
        const bool gone = (lba >= 1 && lba < 3) || (lba >= 8 && lba < 12);
        for (std::size_t i = lba * 512; i < (lba + 1) * 512; ++i)
            REQUIRE(found[i] == (gone ? 0 : expected[i]));
    }
    // 300 ranges are two commands.
    DiskRequest many{1, DiskOperation::discard, false, {}, {}};
    for (std::uint64_t i = 0; i < 300; ++i) many.extents.push_back({i * 2, 1});
    const std::uint64_t before = b.statistic("root.nvme.commands");
    CHECK(b.issue(many) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.commands") == before + 2);
    CHECK(b.issue({1, DiskOperation::discard, false, {{7, 0}}, {}}) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.commands") == before + 2);
}

TEST_CASE("requests that make no sense are refused without a command") {
    Bench b;
    const std::uint64_t top = ~std::uint64_t{0};
    const std::vector<DiskRequest> wrong{
        Bench::transfer(DiskOperation::read, 0, 1, {{kData, 512}}, 0),
        Bench::transfer(DiskOperation::read, 0, 1, {{kData, 512}}, 3),
        Bench::transfer(DiskOperation::read, 4096, 1, {{kData, 512}}),
        Bench::transfer(DiskOperation::read, 4095, 2, {{kData, 1024}}),
        Bench::transfer(DiskOperation::read, top, 2, {{kData, 1024}}),
        Bench::transfer(DiskOperation::read, 0, top, {{kData, 1024}}),
        Bench::transfer(DiskOperation::read, 0, 2, {{kData, 1023}}),
        Bench::transfer(DiskOperation::read, 0, 2, {{kData, 1025}}),
        Bench::transfer(DiskOperation::read, 0, 2, {{kData, top}, {kData, 1025}}),
        Bench::transfer(DiskOperation::read, 0, 2, {{top - 100, 1024}}),
        Bench::transfer(DiskOperation::write, 0, 1, {}),
        {1, DiskOperation::read, false, {}, {}},
        {1, DiskOperation::read, false, {{0, 1}, {1, 1}}, {{kData, 1024}}},
        {1, DiskOperation::flush, false, {{0, 1}}, {}},
        {1, DiskOperation::discard, false, {{0, 1}, {4096, 1}}, {}},
    };
    for (const DiskRequest& request : wrong) CHECK(b.issue(request) == DiskStatus::invalid_request);
    CHECK(b.statistic("root.nvme.refused") == wrong.size());
    CHECK(b.statistic("root.nvme.commands") == 0);
    // Nothing to move is no error.
    CHECK(b.issue(Bench::transfer(DiskOperation::read, 0, 0, {})) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.commands") == 0);
}

TEST_CASE("more requests than the queue has room for are served in order") {
    Bench b(driver_config(4));  // three commands at once
    b.fill(kData, 64 * 512, 1);
    for (std::uint64_t i = 0; i < 64; ++i)
        b.driver.submit(Bench::transfer(DiskOperation::write, i, 1, {{kData + i * 512, 512}}), i);
    CHECK(b.driver.outstanding() == 64);
    CHECK(b.controller.outstanding() == 3);
    CHECK(b.statistic("root.nvme.waited") == 61);
    b.run();
    REQUIRE(b.over.size() == 64);
    for (std::uint64_t i = 0; i < 64; ++i) CHECK(b.over[i] == std::pair{i, DiskStatus::ok});
    CHECK((b.on_disk(0, 64) == b.gather({{kData, 64 * 512}})));
    // The queues went round many times; so did the phase.
    CHECK(b.statistic("root.nvme.commands") == 64);
    CHECK(b.statistic("root.nvme.empty_interrupts") == 0);
}

TEST_CASE("bounce buffers run out and come back") {
    NvmeDriverConfig config = driver_config();
    config.bounce_buffers = 1;
    config.bounce_pages = 1;
    Bench b(config);
    b.fill(kData, 0x9000, 1);
    const std::vector<MemorySegment> odd{{kData + 3, 0x8000}};
    CHECK(b.issue(Bench::transfer(DiskOperation::write, 0, 64, odd)) == DiskStatus::ok);
    CHECK((b.on_disk(0, 64) == b.gather(odd)));
    CHECK(b.statistic("root.nvme.commands") == 8);
    const auto expected = b.gather(odd);
    b.fill(kData, 0x9000, 9);
    CHECK(b.issue(Bench::transfer(DiskOperation::read, 0, 64, odd)) == DiskStatus::ok);
    CHECK((b.gather(odd) == expected));
}

TEST_CASE("a page that the device may not reach fails its request alone") {
    Bench b(driver_config(4));
    b.fill(kData, 0x10000, 1);
    b.memory.refused_page = sim::page_of(kData + 0x5000);
    // The second of four commands fails; those not yet issued are not.
    b.driver.submit(Bench::transfer(DiskOperation::write, 0, 160, {{kData, 0x14000}}), 1);
    b.driver.submit(Bench::transfer(DiskOperation::write, 200, 8, {{kData, 0x1000}}), 2);
    b.run();
    REQUIRE(b.over.size() == 2);
    const auto status_of = [&b](std::uint64_t token) {
        return std::find_if(b.over.begin(), b.over.end(),
                            [token](const auto& o) { return o.first == token; })
            ->second;
    };
    CHECK(status_of(1) == DiskStatus::dma_fault);
    CHECK(status_of(2) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.commands") < 6);
    CHECK((b.on_disk(200, 8) == b.gather({{kData, 0x1000}})));
    CHECK(b.driver.outstanding() == 0);
}

TEST_CASE("memory that is gone under a copy is a fault of the request") {
    for (const DiskOperation operation : {DiskOperation::read, DiskOperation::write}) {
        Bench b;
        b.core.denied_page = sim::page_of(kData);
        CHECK(b.issue(Bench::transfer(operation, 0, 1, {{kData + 1, 512}})) ==
              DiskStatus::dma_fault);
        b.core.denied_page = ~std::uint64_t{0};
        CHECK(b.issue(Bench::transfer(operation, 0, 1, {{kData + 1, 512}})) == DiskStatus::ok);
    }
}

TEST_CASE("a handler may submit from within") {
    Bench b;
    b.fill(kData, 512, 1);
    b.submit_when_told = {Bench::transfer(DiskOperation::read, 5, 1, {{kData + 0x1000, 512}}), 2};
    b.driver.submit(Bench::transfer(DiskOperation::write, 5, 1, {{kData, 512}}), 1);
    b.run();
    CHECK(b.over == decltype(b.over){{1, DiskStatus::ok}, {2, DiskStatus::ok}});
    CHECK(b.gather({{kData, 512}}) == b.gather({{kData + 0x1000, 512}}));
    // Also where the answer comes from within submit().
    b.over.clear();
    b.submit_when_told = {Bench::transfer(DiskOperation::read, 0, 1, {}), 4};
    b.driver.submit(Bench::transfer(DiskOperation::read, 0, 1, {}), 3);
    CHECK(b.over ==
          decltype(b.over){{3, DiskStatus::invalid_request}, {4, DiskStatus::invalid_request}});
}

TEST_CASE("nothing is taken before the start; a new start ends what is under way") {
    Bench b(driver_config(), controller_config(), false);
    CHECK(b.issue({1, DiskOperation::flush, false, {}, {}}) == DiskStatus::not_ready);
    b.driver.on_interrupt();
    b.start();
    b.over.clear();
    for (std::uint64_t i = 0; i < 20; ++i)
        b.driver.submit(Bench::transfer(DiskOperation::read, i, 1, {{kData, 512}}), i);
    b.driver.start();
    CHECK(!b.driver.ready());
    while (!b.driver.ready()) b.driver.continue_start();
    REQUIRE(b.over.size() == 20);
    for (std::uint64_t i = 0; i < 20; ++i) CHECK(b.over[i] == std::pair{i, DiskStatus::not_ready});
    CHECK(b.issue(Bench::transfer(DiskOperation::read, 0, 1, {{kData, 512}})) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.starts") == 2);
}

TEST_CASE("a controller that stopped is set up again") {
    Bench b;
    CHECK(b.driver.watch());
    // Its completion queue is out of its reach: CSTS.CFS.
    b.driver.submit({1, DiskOperation::flush, false, {}, {}}, 1);
    b.memory.refused_page = sim::page_of(kDriverMemory + 0x4000);
    b.run();
    CHECK(b.over.empty());
    b.memory.refused_page = ~std::uint64_t{0};
    CHECK(!b.driver.watch());
    CHECK(!b.driver.watch());  // the start goes on
    while (!b.driver.ready()) b.driver.continue_start();
    CHECK(b.over == decltype(b.over){{1, DiskStatus::not_ready}});
    CHECK(b.driver.watch());
    CHECK(b.issue({1, DiskOperation::flush, false, {}, {}}) == DiskStatus::ok);
    CHECK(b.statistic("root.nvme.stops") == 1);
    CHECK(b.statistic("root.nvme.timeouts") == 0);
}

TEST_CASE("a lost interrupt is made good, a lost command ends with a new start") {
    NvmeDriverConfig config = driver_config();
    config.command_timeout = sim::kSecond;
    NvmeConfig hardware = controller_config();
    hardware.write_latency = 5 * sim::kSecond;
    Bench b(config, hardware);
    // The flush is done, but nobody tells the driver.
    b.driver.submit({1, DiskOperation::flush, false, {}, {}}, 1);
    b.core.charge(sim::kSecond - sim::kMillisecond);
    CHECK(b.driver.watch());
    CHECK(b.over.empty());
    CHECK(b.statistic("root.nvme.timeouts") == 0);
    b.core.charge(sim::kMillisecond);
    CHECK(b.driver.watch());
    CHECK(b.over == decltype(b.over){{1, DiskStatus::ok}});
    CHECK(b.statistic("root.nvme.timeouts") == 1);
    CHECK(b.statistic("root.nvme.starts") == 1);
    b.answered = b.memory.messages.size();
    // The write takes longer than the driver waits.
    b.over.clear();
    b.driver.submit(Bench::transfer(DiskOperation::write, 0, 1, {{kData, 512}}), 2);
    b.core.charge(sim::kSecond);
    CHECK(!b.driver.watch());
    while (!b.driver.ready()) b.driver.continue_start();
    CHECK(b.over == decltype(b.over){{2, DiskStatus::not_ready}});
    CHECK(b.statistic("root.nvme.timeouts") == 2);
    CHECK(b.statistic("root.nvme.starts") == 2);
    CHECK(b.driver.watch());
}

TEST_CASE("what the user can mend") {
    const auto refuses = [](auto change, NvmeConfig hardware = controller_config()) {
        NvmeDriverConfig config = driver_config();
        change(config);
        CHECK_THROWS_AS(Bench(config, hardware), sim::ConfigError);
    };
    refuses([](NvmeDriverConfig& c) { c.queue_depth = 1; });
    refuses([](NvmeDriverConfig& c) { c.queue_depth = 4097; });
    refuses([](NvmeDriverConfig& c) { c.bounce_pages = 0; });
    refuses([](NvmeDriverConfig& c) { c.poll_interval = 0; });
    refuses([](NvmeDriverConfig& c) { c.command_timeout = 0; });
    refuses([](NvmeDriverConfig& c) { c.memory += 8; });
    refuses([](NvmeDriverConfig& c) { c.memory_size = NvmeDriver::memory_needed(c) - 1; });
    refuses([](NvmeDriverConfig& c) { c.vector = 17; });         // the controller has 17
    refuses([](NvmeDriverConfig& c) { c.memory = 0x8000000; });  // no RAM there: CSTS.CFS or none
    NvmeConfig small = controller_config();
    small.queue_entries = 4;
    refuses([](NvmeDriverConfig&) {}, small);
    // Just enough memory is enough.
    NvmeDriverConfig config = driver_config(2);
    config.memory_size = NvmeDriver::memory_needed(config);
    Bench b(config);
    CHECK(b.issue({2, DiskOperation::flush, false, {}, {}}) == DiskStatus::ok);
    // No controller at all.
    Bench none(driver_config(), controller_config(), false);
    none.core.controller = nullptr;
    CHECK_THROWS_AS(none.driver.start(), sim::ConfigError);
}

TEST_CASE("the interrupt moves where the hypervisor says") {
    Bench b;
    b.driver.set_interrupt({0xfee02000, 0x55});
    b.driver.submit({1, DiskOperation::flush, false, {}, {}}, 1);
    while (b.controller.next_deadline() != sim::kNever)
        b.controller.advance_to(b.core.time = b.controller.next_deadline());
    REQUIRE(b.memory.messages.size() == 1);
    CHECK(b.memory.messages[0].address == 0xfee02000);
    CHECK(b.memory.messages[0].data == 0x55);
    b.driver.on_interrupt();
    CHECK(b.over.size() == 1);
    b.driver.on_interrupt();
    CHECK(b.statistic("root.nvme.empty_interrupts") == 1);
}
