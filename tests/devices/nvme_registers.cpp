#include "sim/error.h"
#include "tests/devices/nvme_bench.h"

using namespace hvsim;
using namespace hvsim::devices::nvme;
using devices::DiskImage;

TEST_CASE("registers after power-on") {
    Bench b;
    CHECK(b.get(spec::kCap, 8) == 0x00000020'780103ffull);
    CHECK(b.get(spec::kCap) == 0x780103ff);
    CHECK(b.get(spec::kCap + 4) == 0x20);
    CHECK(b.get(spec::kVs) == 0x00010400);
    CHECK(b.get(spec::kCc) == 0);
    CHECK(b.get(spec::kCsts) == 0);
    CHECK(b.get(spec::kAqa) == 0);
    CHECK(b.get(0x40) == 0);
    CHECK(b.get(spec::kDoorbells) == 0);
    CHECK(b.get(spec::kBlockSize) == 0);
    CHECK(b.get(0x0a, 2) == 0x0001);
    CHECK(b.get(spec::kMsixTable + 12) == 1);  // masked
    CHECK(b.get(spec::kMsixTable + 17 * 16 + 12) == 0);
    CHECK(b.controller.next_deadline() == sim::kNever);
}

TEST_CASE("what the fields do not have reads back as zero") {
    Bench b;
    b.set(spec::kAqa, 0xffffffff);
    CHECK(b.get(spec::kAqa) == 0x0fff0fff);
    b.set(spec::kAsq, 0x123456789abcdfff, 8);
    CHECK(b.get(spec::kAsq, 8) == 0x123456789abcd000);
    b.set(spec::kAsq + 4, 0x11);
    b.set(spec::kAsq, 0x22222);
    CHECK(b.get(spec::kAsq, 8) == 0x1100022000);
    b.set(spec::kAcq, ~std::uint64_t{0}, 8);
    CHECK(b.get(spec::kAcq, 8) == 0xfffffffffffff000);
    b.set(spec::kVs, 0);
    b.set(spec::kCap, 0, 8);
    b.set(spec::kCsts, 0xffffffff);
    CHECK(b.get(spec::kVs) == 0x00010400);
    CHECK(b.get(spec::kCsts) == 0);
    b.set(spec::kIntms, 0x0f);
    b.set(spec::kIntmc, 0x05);
    CHECK(b.get(spec::kIntms) == 0x0a);
    b.set(spec::kCc, 0xfffffff0);
    CHECK(b.get(spec::kCc) == 0x00fffff0);
}

TEST_CASE("writes of other sizes or alignments are ignored") {
    Bench b;
    b.set(spec::kAqa, 0x000f000f, 2);
    b.set(spec::kAqa, 0x0f, 1);
    b.set(spec::kAqa, 0x000f000f'00000000ull, 8);  // 0x24 is not aligned to 8
    b.set(spec::kAqa + 2, 0xf, 4);
    b.set(0x5000, 1, 4);
    CHECK(b.get(spec::kAqa) == 0);
    CHECK(b.statistics().at("nvme.ignored_accesses") == 5);
}

TEST_CASE("enabling takes its time; resetting does not") {
    NvmeConfig config;
    config.enable_time = 500 * sim::kMicrosecond;
    Bench b(config);
    b.now = 1000;
    b.enable();
    CHECK(b.get(spec::kCsts) == 0);
    b.now += 500 * sim::kMicrosecond - 1;
    CHECK(b.get(spec::kCsts) == 0);
    b.ring(0);  // not ready yet: ignored
    CHECK(b.statistics().at("nvme.ignored_accesses") == 1);
    b.now += 1;
    CHECK(b.get(spec::kCsts) == 1);
    b.set(spec::kCc, 0);
    CHECK(b.get(spec::kCsts) == 0);
    CHECK(b.get(spec::kAsq, 8) == Bench::kAdminSq);
}

TEST_CASE("settings that the controller does not have are fatal until reset") {
    const std::uint32_t good = 4u << 20 | 6u << 16 | 1;
    for (const std::uint32_t bad : {good | 1u << 7, good | 1u << 4, good | 1u << 11}) {
        Bench b;
        b.set(spec::kAqa, 0x000f000f);
        b.set(spec::kCc, bad);
        CHECK(b.get(spec::kCsts) == 2);
        b.set(spec::kCc, 0);
        CHECK(b.get(spec::kCsts) == 0);
        b.enable();
        CHECK(b.get(spec::kCsts) == 1);
    }
    for (const std::uint32_t aqa : {0x00000000u, 0x000f0000u, 0x0000000fu}) {
        Bench b;
        b.set(spec::kAqa, aqa);
        b.set(spec::kCc, good);
        CHECK(b.get(spec::kCsts) == 2);
    }
}

TEST_CASE("shutdown is reported and taken back") {
    Bench b;
    b.enable();
    b.set(spec::kCc, b.get(spec::kCc) | 1u << 14);
    CHECK(b.get(spec::kCsts) == 9);
    b.set(spec::kCc, 0);
    b.enable();
    CHECK(b.get(spec::kCsts) == 1);
}

TEST_CASE("messages: address, data, mask and pending") {
    Bench b;
    b.enable();
    b.admin(6, 1, 0, Bench::kData);
    CHECK(b.dma.messages.empty());
    CHECK(b.get(spec::kMsixPending) == 1);
    b.unmask(0);
    REQUIRE(b.dma.messages.size() == 1);
    CHECK(b.dma.messages[0].address == 0xfee00000);
    CHECK(b.dma.messages[0].data == 0x4000);
    CHECK(b.get(spec::kMsixPending) == 0);
    b.admin(6, 1, 0, Bench::kData);
    CHECK(b.dma.messages.size() == 2);
    b.set(spec::kMsixTable, 0xfee01003);  // the low two bits are none of the address
    CHECK(b.get(spec::kMsixTable) == 0xfee01000);
    b.set(spec::kMsixTable + 16 * 16, 0x1234'0000'fee00000ull, 8);
    CHECK(b.get(spec::kMsixTable + 16 * 16, 8) == 0x1234'0000'fee00000ull);
    b.set(spec::kMsixTable + 17 * 16, 0xffffffff);  // behind the last vector
    CHECK(b.get(spec::kMsixTable + 17 * 16) == 0);
    b.set(spec::kMsixTable, 0x70000000);  // where nothing answers
    b.admin(6, 1, 0, Bench::kData);
    CHECK(b.statistics().at("nvme.interrupts_refused") == 1);
}

TEST_CASE("invalid doorbells are counted and reported once until the log is read") {
    Bench b;
    b.enable(4);
    const std::uint16_t event = b.put(0, Bench::command(0x0c));
    b.put(0, Bench::command(0x0c));
    b.ring(0);
    b.run();
    CHECK_FALSE(b.take(0).came);
    b.set(spec::kDoorbells + 8 * 3, 1);  // no such queue
    const Answer a = b.take(0);
    CHECK(a.came);
    CHECK(a.command == event);
    CHECK(a.result == 0x00010000);
    b.set(spec::kDoorbells, 4);  // one too far
    b.set(spec::kDoorbells, 0xffffffff);
    b.set(spec::kDoorbells + 4, 3);  // beyond what was posted
    b.set(spec::kDoorbells + 8 * 500 + 4, 3);
    CHECK(b.statistics().at("nvme.invalid_doorbells") == 5);
    CHECK_FALSE(b.take(0).came);
    CHECK(b.admin(2, 1 | 15u << 16, 0, Bench::kData).status == 0);
    b.set(spec::kDoorbells, 77);
    const Answer second = b.take(0);
    CHECK(second.came);
    CHECK(second.result == 0x00010100);
    b.set(spec::kDoorbells, 77);  // no request held: waits
    CHECK_FALSE(b.take(0).came);
    CHECK(b.get(spec::kCsts) == 1);
}

TEST_CASE("a refused queue entry or completion is fatal") {
    Bench b;
    b.enable();
    b.dma.refused_page = sim::page_of(Bench::kAdminSq);
    b.put(0, Bench::command(6));
    b.ring(0);
    CHECK(b.get(spec::kCsts) == 3);
    b.dma.refused_page = ~std::uint64_t{0};
    b.ring(0);
    CHECK(b.controller.next_deadline() == sim::kNever);
    b.set(spec::kCc, 0);
    b.enable();
    CHECK(b.admin(6, 1, 0, Bench::kData).status == 0);
    b.dma.refused_page = sim::page_of(Bench::kAdminCq);
    b.put(0, Bench::command(6));
    b.ring(0);
    b.run();
    CHECK(b.get(spec::kCsts) == 3);
    CHECK(b.statistics().at("nvme.fatal") == 2);
}

TEST_CASE("DMA that leads back to the controller's own registers changes nothing") {
    Bench b;
    b.enable();
    b.create_queue(1);
    b.dma.loop = &b.controller;
    // Data of a read over CC, doorbells and the MSI-X table.
    const std::uint32_t head = static_cast<std::uint32_t>(b.dma.loop_base);
    CHECK(b.issue(1, Bench::io(2, 0, 8, head)).status == 0);
    CHECK(b.issue(1, Bench::io(2, 0, 8, head + 0x1000)).status == 0);
    CHECK(b.get(spec::kCsts) == 1);
    CHECK(b.statistics().at("nvme.ignored_accesses") == 2048);
    // A completion queue over them.
    CHECK(b.admin(5, 15u << 16 | 2, 1, head).status == 0);
    CHECK(b.admin(1, 15u << 16 | 2, 2u << 16 | 1, 0x90000).status == 0);
    b.queues[2] = {0x90000, 0x98000, 16, 16};
    b.put(2, Bench::io(2, 0, 1));
    b.ring(2);
    b.run();
    CHECK(b.get(spec::kCsts) == 1);
    b.unmask(0);
    b.set(spec::kMsixTable, b.dma.loop_base + spec::kCc);
    b.set(spec::kMsixTable + 8, 0);
    CHECK(b.admin(6, 1, 0, Bench::kData).status == 0);
    CHECK(b.get(spec::kCsts) == 1);
}

TEST_CASE("configuration values outside of their limits are refused") {
    const auto refused = [](auto change) {
        NvmeConfig config;
        change(config);
        DiskImage disk(512, 512);
        TestDma dma;
        CHECK_THROWS_AS(NvmeController(config, {&disk}, dma, nullptr), sim::ConfigError);
    };
    refused([](NvmeConfig& c) { c.io_queues = 0; });
    refused([](NvmeConfig& c) { c.io_queues = 65; });
    refused([](NvmeConfig& c) { c.queue_entries = 1; });
    refused([](NvmeConfig& c) { c.vectors = 257; });
    refused([](NvmeConfig& c) { c.bandwidth = 0; });
    refused([](NvmeConfig& c) { c.parallelism = 0; });
    refused([](NvmeConfig& c) { c.outstanding = 0; });
    refused([](NvmeConfig& c) { c.transfer_pages_log2 = 11; });
    refused([](NvmeConfig& c) { c.serial = std::string(21, 'x'); });
    refused([](NvmeConfig& c) { c.model.assign(1, 0x07); });
    TestDma dma;
    CHECK_THROWS_AS(NvmeController({}, {}, dma, nullptr), sim::ConfigError);
}
