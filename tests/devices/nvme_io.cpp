#include "tests/devices/nvme_bench.h"

#include <algorithm>

using namespace hvsim;
using namespace hvsim::devices::nvme;
using devices::LatencyHistogram;

namespace {

constexpr unsigned kFlush = 0, kWrite = 1, kRead = 2, kCompare = 5, kZeroes = 8, kDataset = 9;
constexpr std::uint64_t kData = Bench::kData;
constexpr std::uint64_t kList = 0x300000;

struct Ready : Bench {
    explicit Ready(NvmeConfig config = quick(), std::uint64_t blocks = 4096)
        : Bench(config, blocks) {
        enable();
        create_queue(1);
    }
    void fill(std::uint64_t address, std::size_t size, unsigned seed) {
        std::vector<std::uint8_t> bytes(size);
        for (std::size_t i = 0; i < size; ++i)
            bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 256 + seed);
        REQUIRE(dma.ram.write_bytes(address, bytes));
    }
    std::vector<std::uint8_t> on_disk(std::uint64_t lba, std::uint64_t blocks) {
        std::vector<std::uint8_t> bytes(blocks * 512);
        disk.read(lba * 512, bytes);
        return bytes;
    }
};

void expect(const Answer& answer, const spec::Status& status) {
    CHECK(answer.came);
    CHECK(answer.status == status.field());
}

}  // namespace

TEST_CASE("write, read back, compare") {
    Ready b;
    b.fill(kData, 4096, 1);
    expect(b.issue(1, Bench::io(kWrite, 100, 8)), {});
    CHECK(b.on_disk(100, 8) == b.memory(kData, 4096));
    expect(b.issue(1, Bench::io(kRead, 100, 8, kData + 0x10000)), {});
    CHECK(b.memory(kData + 0x10000, 4096) == b.memory(kData, 4096));
    expect(b.issue(1, Bench::io(kCompare, 100, 8)), {});
    REQUIRE(b.dma.ram.fill(kData + 4095, 1, 0));
    expect(b.issue(1, Bench::io(kCompare, 100, 8)), spec::status::kCompareFailure);
    expect(b.issue(1, Bench::io(kFlush, 0, 1)), {});
    expect(b.issue(1, Bench::io(kFlush, 0, 1, 0, 0, 0xffffffff)), {});
    const auto s = b.statistics();
    CHECK(s.at("nvme.writes") == 1);
    CHECK(s.at("nvme.reads") == 1);
    CHECK(s.at("nvme.flushes") == 2);
    CHECK(s.at("nvme.other") == 2);
    CHECK(s.at("nvme.errors") == 1);
    CHECK(s.at("nvme.bytes_written") == 4096);
    CHECK(s.at("nvme.bytes_read") == 4096);
}

TEST_CASE("the second namespace has blocks of 4096 bytes") {
    Ready b;
    b.fill(kData, 8192, 2);
    expect(b.issue(1, Bench::io(kWrite, 1022, 2, kData, kData + 4096, 2)), {});
    std::vector<std::uint8_t> bytes(8192);
    b.second.read(std::uint64_t{1022} * 4096, bytes);
    CHECK(bytes == b.memory(kData, 8192));
    expect(b.issue(1, Bench::io(kWrite, 1023, 2, kData, kData + 4096, 2)),
           spec::status::kLbaOutOfRange);
}

TEST_CASE("data in one, two and many pages, at any offset") {
    for (const std::uint32_t blocks : {1u, 7u, 8u, 9u, 16u, 17u, 64u, 255u, 256u}) {
        for (const std::uint64_t offset : {0u, 4u, 512u, 2048u, 4092u}) {
            Ready b;
            const std::uint64_t bytes = std::uint64_t{blocks} * 512;
            // Scattered pages, in falling order.
            std::vector<std::uint64_t> pages;
            for (unsigned i = 0; i < 40; ++i) pages.push_back(kData + (40 - i) * 0x2000);
            for (unsigned i = 1; i < 40; ++i)
                REQUIRE(b.dma.ram.write(kList + (i - 1) * 8, pages[i]));
            const std::uint64_t in_first = std::min<std::uint64_t>(bytes, 4096 - offset);
            const std::uint64_t rest = bytes - in_first;
            const std::uint64_t prp2 = rest == 0 ? 0xbad : rest <= 4096 ? pages[1] : kList;
            for (unsigned i = 0; i < 40; ++i) b.fill(pages[i], 4096, i);
            std::vector<std::uint8_t> expected = b.memory(pages[0] + offset, in_first);
            for (std::uint64_t i = 1, left = rest; left != 0; ++i) {
                const std::uint64_t part = std::min<std::uint64_t>(left, 4096);
                const auto page = b.memory(pages[i], part);
                expected.insert(expected.end(), page.begin(), page.end());
                left -= part;
            }
            expect(b.issue(1, Bench::io(kWrite, 3, blocks, pages[0] + offset, prp2)), {});
            CHECK(b.on_disk(3, blocks) == expected);
            for (const std::uint64_t page : pages) b.dma.ram.fill(page, 4096, 0xcc);
            expect(b.issue(1, Bench::io(kRead, 3, blocks, pages[0] + offset, prp2)), {});
            const auto head = b.memory(pages[0] + offset, in_first);
            CHECK(std::equal(head.begin(), head.end(), expected.begin()));
            // Nothing before the data nor after it was touched.
            CHECK(b.memory(pages[0], offset) == std::vector<std::uint8_t>(offset, 0xcc));
            const std::uint64_t tail_page = rest == 0 ? 0 : (rest + 4095) / 4096;
            const std::uint64_t end = rest == 0 ? offset + in_first : (rest - 1) % 4096 + 1;
            if (end < 4096)
                CHECK(b.memory(pages[tail_page] + end, 4096 - end) ==
                      std::vector<std::uint8_t>(4096 - end, 0xcc));
        }
    }
}

TEST_CASE("a list goes on in the page that its last entry names") {
    NvmeConfig config = Bench::quick();
    config.transfer_pages_log2 = 10;
    Ready b(config, 8192);
    // 4 MiB from an aligned page: 1023 entries behind PRP1. The list begins 3 entries before a
    // page's end, goes on for 511 entries and a link, and ends in a third page.
    std::uint64_t next_page = 0x1000000;
    const auto data_page = [&next_page] { return next_page += 0x1000; };
    const std::uint64_t first = data_page();
    const std::uint64_t lists[3] = {kList + 4096 - 24, kList + 0x4000, kList + 0x9000};
    for (unsigned i = 0; i < 2; ++i) b.dma.ram.write(lists[0] + i * 8, data_page());
    b.dma.ram.write(lists[0] + 16, lists[1]);
    for (unsigned i = 0; i < 511; ++i) b.dma.ram.write(lists[1] + i * 8, data_page());
    b.dma.ram.write(lists[1] + 511 * 8, lists[2]);
    for (unsigned i = 0; i < 510; ++i) b.dma.ram.write(lists[2] + i * 8, data_page());
    b.fill(first, 4 << 20, 9);
    expect(b.issue(1, Bench::io(kWrite, 0, 8192, first, lists[0])), {});
    CHECK((b.on_disk(0, 8192) == b.memory(first, 4 << 20)));
    // A link into the middle of a page would make endless chains possible.
    b.dma.ram.write(lists[0] + 16, kList + 4096 - 8);
    b.dma.ram.write(kList + 4096 - 8, kList + 4096 - 8);
    expect(b.issue(1, Bench::io(kWrite, 0, 8192, first, lists[0])),
           spec::status::kPrpOffsetInvalid);
    expect(b.issue(1, Bench::io(kWrite, 0, 8192, first, kList + 4096 - 8)),
           spec::status::kPrpOffsetInvalid);
}

TEST_CASE("bad PRPs") {
    Ready b;
    const auto bad = spec::status::kPrpOffsetInvalid;
    for (const std::uint64_t offset : {1u, 2u, 3u, 4095u})
        expect(b.issue(1, Bench::io(kRead, 0, 1, kData + offset)), bad);
    expect(b.issue(1, Bench::io(kRead, 0, 16, kData, kData + 4)), bad);
    expect(b.issue(1, Bench::io(kRead, 0, 24, kData, kList + 4)), bad);
    b.dma.ram.write(kList, kData + 0x1000);
    b.dma.ram.write(kList + 8, kData + 0x2008);
    expect(b.issue(1, Bench::io(kRead, 0, 24, kData, kList)), bad);
    b.dma.ram.write(kList + 8, std::uint64_t{1} << 50);
    expect(b.issue(1, Bench::io(kRead, 0, 24, kData, kList)), spec::status::kDataTransferError);
    expect(b.issue(1, Bench::io(kRead, 0, 24, kData, std::uint64_t{1} << 50)),
           spec::status::kDataTransferError);
    expect(b.issue(1, Bench::io(kWrite, 0, 1, ~std::uint64_t{0} & ~std::uint64_t{0xfff})),
           spec::status::kDataTransferError);
}

TEST_CASE("a write whose data cannot all be fetched changes nothing") {
    Ready b;
    b.fill(kData, 8192, 5);
    b.dma.refused_page = sim::page_of(kData + 4096);
    expect(b.issue(1, Bench::io(kWrite, 0, 16, kData, kData + 4096)),
           spec::status::kDataTransferError);
    CHECK(b.on_disk(0, 16) == std::vector<std::uint8_t>(8192));
    CHECK(b.get(spec::kCsts) == 1);
}

TEST_CASE("addresses at and past the disk's end") {
    Ready b;
    const auto out = spec::status::kLbaOutOfRange;
    expect(b.issue(1, Bench::io(kRead, 4095, 1)), {});
    for (const unsigned opcode : {kRead, kWrite, kCompare, kZeroes}) {
        expect(b.issue(1, Bench::io(opcode, 4096, 1)), out);
        expect(b.issue(1, Bench::io(opcode, 4095, 2)), out);
        expect(b.issue(1, Bench::io(opcode, ~std::uint64_t{0}, 2)), out);
        expect(b.issue(1, Bench::io(opcode, 1ull << 63, 1)), out);
        expect(b.issue(1, Bench::io(opcode, 0, 65536)), out);
    }
}

TEST_CASE("namespaces, opcodes and fields that are not") {
    Ready b;
    for (const unsigned opcode : {kRead, kWrite, kCompare, kZeroes, kDataset, kFlush})
        for (const std::uint32_t nsid : {0u, 3u, 0xfffffffeu})
            expect(b.issue(1, Bench::io(opcode, 0, 1, kData, 0, nsid)),
                   spec::status::kInvalidNamespace);
    expect(b.issue(1, Bench::io(kRead, 0, 1, kData, 0, 0xffffffff)),
           spec::status::kInvalidNamespace);
    for (const unsigned opcode : {0x03u, 0x04u, 0x06u, 0x0cu, 0x0du, 0x80u, 0xffu})
        expect(b.issue(1, Bench::io(opcode, 0, 1)), spec::status::kInvalidOpcode);
    for (const std::uint32_t flag : {1u << 8, 2u << 8, 1u << 14, 2u << 14}) {
        spec::Command c = Bench::io(kRead, 0, 1);
        c.dword[0] |= flag;
        expect(b.issue(1, c), spec::status::kInvalidField);
    }
    expect(b.issue(1, Bench::io(kRead, 0, 257, kData, kList)), spec::status::kInvalidField);
}

TEST_CASE("write zeroes and deallocate") {
    Ready b;
    b.disk.write(0, std::vector<std::uint8_t>(4096 * 4, 0x77));
    expect(b.issue(1, Bench::io(kZeroes, 1, 3)), {});
    CHECK(b.on_disk(0, 1) == std::vector<std::uint8_t>(512, 0x77));
    CHECK(b.on_disk(1, 3) == std::vector<std::uint8_t>(3 * 512));
    CHECK(b.on_disk(4, 1) == std::vector<std::uint8_t>(512, 0x77));

    const auto dataset = [&](std::uint32_t ranges, std::uint32_t attributes,
                             std::uint64_t at = kList) {
        spec::Command c = Bench::command(kDataset, 1, at);
        c.dword[10] = ranges - 1;
        c.dword[11] = attributes;
        return b.issue(1, c);
    };
    struct Range {
        std::uint32_t attributes, length;
        std::uint64_t lba;
    };
    b.dma.ram.write(kList, Range{0, 2, 10});
    b.dma.ram.write(kList + 16, Range{0, 0, 4096});  // empty, at the end: fine
    expect(dataset(2, 1), {});                       // only a hint
    CHECK(b.on_disk(10, 2) == std::vector<std::uint8_t>(1024, 0x77));
    expect(dataset(2, 4), {});
    CHECK(b.on_disk(9, 1) == std::vector<std::uint8_t>(512, 0x77));
    CHECK(b.on_disk(10, 2) == std::vector<std::uint8_t>(1024));
    CHECK(b.on_disk(12, 1) == std::vector<std::uint8_t>(512, 0x77));
    b.dma.ram.write(kList, Range{0, 1, 20});
    b.dma.ram.write(kList + 16, Range{0, 2, 4095});
    expect(dataset(2, 4), spec::status::kLbaOutOfRange);
    CHECK(b.on_disk(20, 1) == std::vector<std::uint8_t>(512, 0x77));  // all or nothing
    b.dma.ram.write(kList + 16, Range{0, 0xffffffff, ~std::uint64_t{0}});
    expect(dataset(2, 4), spec::status::kLbaOutOfRange);
    expect(dataset(1, 4, kList + 1), spec::status::kPrpOffsetInvalid);
    expect(dataset(1, 4, 1ull << 40), spec::status::kDataTransferError);
    CHECK(b.statistics().at("nvme.bytes_deallocated") == 5 * 512);
}

TEST_CASE("an identifier that is in use is a conflict") {
    Ready b;
    b.put(1, Bench::io(kRead, 0, 1));
    b.queues[1].next_id = 1;
    b.put(1, Bench::io(kRead, 0, 1));
    b.ring(1);
    b.run();
    const Answer first = b.take(1);
    const Answer second = b.take(1);
    expect(first, {});
    expect(second, spec::status::kCommandIdConflict);
    CHECK(second.command == 1);
    b.queues[1].next_id = 1;
    expect(b.issue(1, Bench::io(kRead, 0, 1)), {});  // free again
}

TEST_CASE("phase tags over several turns, with the head in each entry") {
    Ready b;
    b.create_queue(2, 4);
    for (int i = 0; i < 30; ++i) {
        const Answer a = b.issue(2, Bench::io(kRead, 0, 1));
        expect(a, {});
        CHECK(a.sq_id == 2);
        CHECK(a.sq_head == (i + 1) % 4);
    }
}

TEST_CASE("completions wait while their queue is full") {
    Ready b;
    REQUIRE(b.admin(5, 3u << 16 | 2, 1, 0x90000).status == 0);              // 4 entries
    REQUIRE(b.admin(1, 15u << 16 | 2, 2u << 16 | 1, 0xa0000).status == 0);  // 16 entries
    b.queues[2] = {0xa0000, 0x90000, 16, 4};
    for (int i = 0; i < 10; ++i) b.put(2, Bench::io(kRead, 0, 1));
    b.ring(2);
    b.run();
    CHECK(b.controller.outstanding() == 7);
    std::uint16_t expected = 1;
    for (int i = 0; i < 3; ++i) CHECK(b.take(2, false).command == expected++);
    CHECK_FALSE(b.take(2, false).came);
    b.set(spec::kDoorbells + 8 * 2 + 4, 3);
    for (int i = 0; i < 7; ++i) {
        const Answer a = b.take(2);
        CHECK(a.came);
        CHECK(a.command == expected++);
    }
    CHECK_FALSE(b.take(2).came);
    CHECK(b.controller.outstanding() == 0);
}

TEST_CASE("a host that never takes completions cannot make the controller grow") {
    NvmeConfig config = Bench::quick();
    config.outstanding = 8;
    Ready b(config);
    REQUIRE(b.admin(5, 1u << 16 | 2, 1, 0x90000).status == 0);
    REQUIRE(b.admin(1, 15u << 16 | 2, 2u << 16 | 1, 0xa0000).status == 0);
    for (int round = 0; round < 100; ++round) {
        b.set(spec::kDoorbells + 8 * 2, static_cast<std::uint64_t>(round * 7 % 16));
        b.run();
        REQUIRE(b.controller.outstanding() <= 8);
    }
    CHECK(b.controller.outstanding() == 8);
    b.set(spec::kCc, 0);
    CHECK(b.controller.outstanding() == 0);
}

TEST_CASE("latency, bandwidth and parallelism") {
    NvmeConfig config = Bench::quick();
    config.read_latency = 100 * sim::kMicrosecond;
    config.write_latency = 20 * sim::kMicrosecond;
    config.flush_latency = 50 * sim::kMicrosecond;
    config.bandwidth = 512'000'000;  // a block in 1 us
    config.parallelism = 2;
    Ready b(config);
    b.unmask(0);
    b.dma.messages.clear();
    b.now = 1'000'000'000;
    const sim::Time start = b.now;
    const auto done = [&b, start](std::initializer_list<spec::Command> commands) {
        b.now = start + 1'000'000'000 * (b.now / 1'000'000'000);
        const sim::Time at = b.now;
        b.dma.messages.clear();
        for (const spec::Command& c : commands) b.put(1, c);
        b.ring(1);
        b.run();
        std::vector<sim::Duration> times;
        for (const auto& message : b.dma.messages)
            times.push_back((message.time - at) / sim::kMicrosecond);
        while (b.take(1).came) {
        }
        return times;
    };
    using Times = std::vector<sim::Duration>;
    CHECK(done({Bench::io(kRead, 0, 8)}) == Times{108});
    CHECK(done({Bench::io(kWrite, 0, 8)}) == Times{28});
    CHECK(done({Bench::io(kFlush, 0, 1)}) == Times{50});
    spec::Command forced = Bench::io(kWrite, 0, 8);
    forced.dword[12] |= 1u << 30;
    CHECK(done({forced}) == Times{78});
    // Two units, one data path: the second waits for the path, the third for a unit.
    const spec::Command read = Bench::io(kRead, 0, 8);
    CHECK(done({read, read, read}) == Times{108, 116, 216});
    // Two that end together raise one message.
    CHECK(done({Bench::io(kFlush, 0, 1), Bench::io(kFlush, 0, 1)}) == Times{50});
    CHECK(b.admin(9, 6, 0).status == 0);  // write cache off
    CHECK(done({Bench::io(kWrite, 0, 8)}) == Times{78});
}

TEST_CASE("what the DMA path takes is added behind the deadline") {
    NvmeConfig config = Bench::quick();
    config.read_latency = 1000;
    config.bandwidth = 1'000'000'000'000;
    Ready b(config);
    b.unmask(0);
    b.dma.messages.clear();
    b.dma.cost = 10;
    b.now = 5000;
    b.put(1, Bench::io(kRead, 0, 16, kData, kData + 4096));
    b.ring(1);
    // Fetched at 5010, then latency and 8192 bytes at 1 ps each.
    CHECK(b.controller.next_deadline() == 5010 + 1000 + 8192);
    b.run();
    REQUIRE(b.dma.messages.size() == 1);
    CHECK(b.dma.messages[0].time == 14202 + 2 * 10 + 10);  // two pages, then the entry
    CHECK(b.controller.latencies().greatest() == 1000 + 8192 + 20);
}

// The entry does not come before the data; what is over meanwhile does not wait for it.
TEST_CASE("completion entries are written when the data has moved, in the order of that") {
    NvmeConfig config = Bench::quick();
    config.read_latency = 1000;
    config.flush_latency = 9187;
    config.bandwidth = 1'000'000'000'000;
    Ready b(config);
    b.dma.cost = 10;
    b.now = 5000;
    const std::uint16_t read = b.put(1, Bench::io(kRead, 0, 16, kData, kData + 4096));
    const std::uint16_t flush = b.put(1, Bench::command(kFlush, 1));
    b.ring(1);
    const auto entry_at = [&b](sim::Time time) {
        b.controller.advance_to(b.now = time);
        return b.take(1, false);
    };
    // The read: fetched at 5010, 9192 to its deadline, then two pages of 10 each.
    CHECK(b.controller.next_deadline() == 14202);
    CHECK(!entry_at(14202).came);
    CHECK(b.controller.outstanding() == 2);
    CHECK(b.controller.next_deadline() == 14207);
    CHECK(entry_at(14207).command == flush);
    CHECK(b.controller.outstanding() == 1);
    CHECK(b.controller.next_deadline() == 14222);
    CHECK(!entry_at(14221).came);
    CHECK(entry_at(14222).command == read);
    CHECK(b.controller.outstanding() == 0);
    CHECK(b.controller.next_deadline() == sim::kNever);
}

TEST_CASE("deleting a submission queue ends what waits for its data's time") {
    NvmeConfig config = Bench::quick();
    config.admin_latency = 5;
    Ready b(config);
    b.dma.cost = 1000;
    b.put(1, Bench::io(kRead, 0, 16, kData, kData + 4096));
    b.ring(1);
    b.controller.advance_to(b.now = b.controller.next_deadline());  // its data moves
    CHECK(!b.take(1).came);
    spec::Command remove = Bench::command(0);
    remove.dword[10] = 1;
    b.put(0, remove);
    b.ring(0);
    const sim::Time due = b.controller.next_deadline();
    CHECK(due == b.now + 1000 + 5);
    b.controller.advance_to(b.now = due);
    const Answer answer = b.take(1);
    CHECK(answer.came);
    CHECK(answer.status == 0);
    CHECK(b.take(0).came);
    b.run();
    CHECK(!b.take(1).came);
}

TEST_CASE("events and the latency statistics") {
    struct Keep final : sim::EventSink {
        std::vector<sim::Event> events;
        void on_event(const sim::Event& event) override { events.push_back(event); }
    } keep;
    Ready b;
    b.recorder.set_sink(&keep, sim::EventLevel::event);
    b.now = 77'000'000;
    b.issue(1, Bench::io(kRead, 40, 8));
    b.issue(1, Bench::io(kRead, 4096, 8));
    REQUIRE(keep.events.size() == 4);
    const auto& request = keep.events[0];
    CHECK(request.kind == sim::EventKind::kDiskRequest);
    CHECK(request.time == 77'000'000);
    CHECK((request.arguments == std::array<std::uint64_t, 4>{0x10001, 2, 40, 8}));
    const auto& complete = keep.events[1];
    CHECK(complete.kind == sim::EventKind::kDiskComplete);
    CHECK(complete.arguments[1] == 0);
    CHECK(complete.arguments[2] == complete.time - request.time);
    CHECK(keep.events[3].arguments[1] == spec::status::kLbaOutOfRange.field());
    const auto s = b.statistics();
    CHECK(s.at("nvme.latency.max") == b.controller.latencies().greatest());
    CHECK(s.at("nvme.latency.p50") > 0);
}

TEST_CASE("percentiles are at most a sixteenth too high") {
    LatencyHistogram h;
    CHECK(h.percentile(500) == 0);
    for (std::uint64_t i = 1; i <= 100000; ++i) h.add(i * 1000);
    CHECK(h.mean() == 50000500);
    for (const unsigned p : {1u, 10u, 500u, 900u, 990u, 999u}) {
        const std::uint64_t exact = std::uint64_t{p} * 100 * 1000;
        CHECK(h.percentile(p) >= exact);
        CHECK(h.percentile(p) <= exact + exact / 16);
    }
    CHECK(h.percentile(1000) == 100000000);
    LatencyHistogram edges;
    edges.add(0);
    CHECK(edges.percentile(1000) == 0);
    edges.add(~std::uint64_t{0});
    CHECK(edges.percentile(1000) == ~std::uint64_t{0});
}

TEST_CASE("reset in the middle drops what was under way") {
    Ready b;
    b.fill(kData, 512, 3);
    b.put(1, Bench::io(kWrite, 0, 1));
    b.ring(1);
    CHECK(b.controller.outstanding() == 1);
    b.set(spec::kCc, 0);
    b.run();
    CHECK(b.on_disk(0, 1) == std::vector<std::uint8_t>(512));
    b.enable();
    b.create_queue(1);
    expect(b.issue(1, Bench::io(kRead, 0, 1)), {});
}

TEST_CASE("any I/O command, however wild, is answered") {
    Ready b;
    std::uint64_t state = 3;
    const auto random = [&state] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state >> 32);
    };
    std::size_t good = 0;
    for (int i = 0; i < 20000; ++i) {
        spec::Command c;
        for (auto& word : c.dword) word = random() >> random() % 32;
        c.dword[0] = random() % 12;
        if (random() % 64 == 0) c.dword[0] |= 0x4100;
        c.dword[1] = random() % 4;
        if (random() % 4 != 0) c.dword[7] = c.dword[9] = c.dword[11] = 0;
        if (random() % 2 != 0) c.dword[6] &= ~0xfffu, c.dword[8] &= ~0xfffu;
        if (c.prp1() < 0x100000) c.dword[6] += 0x100000;
        if (c.prp2() < 0x100000) c.dword[8] += 0x100000;
        const Answer a = b.issue(1, c);
        REQUIRE(a.came);
        REQUIRE(b.get(spec::kCsts) == 1);
        good += a.status == 0;
    }
    CHECK(good > 100);
}

TEST_CASE("two runs of the same commands give the same digest") {
    const auto run = [] {
        Ready b;
        for (std::uint16_t queue = 2; queue <= 4; ++queue) b.create_queue(queue);
        for (std::uint32_t i = 0; i < 200; ++i) {
            const auto queue = static_cast<std::uint16_t>(1 + i % 4);
            b.put(queue, Bench::io(i % 3 == 0 ? kWrite : kRead, i * 13 % 4000, 1 + i % 8));
            if (i % 5 == 4)
                for (std::uint16_t q = 1; q <= 4; ++q) b.ring(q);
            if (i % 20 == 19) {
                b.run();
                for (std::uint16_t q = 1; q <= 4; ++q)
                    while (b.take(q).came) {
                    }
            }
        }
        CHECK(b.recorder.count(sim::EventKind::kDiskComplete) == 200);
        return b.recorder.digest().hex();
    };
    CHECK(run() == run());
}
