#include "tests/devices/nvme_bench.h"

#include <string>

using namespace hvsim;
using namespace hvsim::devices::nvme;
using devices::load_le;

namespace {

constexpr unsigned kDeleteSq = 0, kCreateSq = 1, kGetLog = 2, kDeleteCq = 4, kCreateCq = 5,
                   kIdentify = 6, kAbort = 8, kSetFeatures = 9, kGetFeatures = 10, kAsyncEvent = 12;

struct Ready : Bench {
    explicit Ready(NvmeConfig config = quick()) : Bench(config) { enable(); }
};

std::string text(const std::vector<std::uint8_t>& page, std::size_t at, std::size_t size) {
    return {page.begin() + static_cast<std::ptrdiff_t>(at),
            page.begin() + static_cast<std::ptrdiff_t>(at + size)};
}

void expect(const Answer& answer, const spec::Status& status) {
    CHECK(answer.came);
    CHECK(answer.status == status.field());
}

}  // namespace

TEST_CASE("the first completion entry, byte by byte") {
    Ready b;
    b.admin(kIdentify, 1, 0, Bench::kData);
    CHECK(b.memory(Bench::kAdminCq, 16) ==
          std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0});
    b.admin(0x7f);  // no such opcode, do not retry
    CHECK(b.memory(Bench::kAdminCq + 16, 16) ==
          std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0x03, 0x80});
}

TEST_CASE("identify controller") {
    Ready b;
    expect(b.admin(kIdentify, 1, 0, Bench::kData), {});
    const auto page = b.memory(Bench::kData, 4096);
    CHECK(text(page, 4, 20) == "HVSIM0000001        ");
    CHECK(text(page, 24, 40) == "hvsim NVMe controller                   ");
    CHECK(text(page, 64, 8) == "1.0     ");
    CHECK(page[77] == 5);
    CHECK(load_le<std::uint32_t>(page, 80) == 0x10400);
    CHECK(page[111] == 1);
    CHECK(page[512] == 0x66);
    CHECK(page[513] == 0x44);
    CHECK(load_le<std::uint32_t>(page, 516) == 2);
    CHECK(load_le<std::uint16_t>(page, 520) == 0x0d);
    CHECK(page[525] == 1);
    CHECK(text(page, 768, 27) == "nqn.2014.08.org.nvmexpress:");
}

TEST_CASE("identify namespaces") {
    Ready b;
    expect(b.admin(kIdentify, 0, 0, Bench::kData, 1), {});
    const auto first = b.memory(Bench::kData, 4096);
    CHECK(load_le<std::uint64_t>(first, 0) == 4096);
    CHECK(load_le<std::uint64_t>(first, 8) == 4096);
    CHECK(load_le<std::uint64_t>(first, 16) == 4096);
    CHECK(first[130] == 9);
    expect(b.admin(kIdentify, 0, 0, Bench::kData, 2), {});
    const auto second = b.memory(Bench::kData, 4096);
    CHECK(load_le<std::uint64_t>(second, 0) == 1024);
    CHECK(second[130] == 12);
    CHECK(text(first, 104, 16) != text(second, 104, 16));

    expect(b.admin(kIdentify, 2, 0, Bench::kData, 0), {});
    CHECK(b.memory(Bench::kData, 12) ==
          std::vector<std::uint8_t>{1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0});
    expect(b.admin(kIdentify, 2, 0, Bench::kData, 1), {});
    CHECK(b.memory(Bench::kData, 8) == std::vector<std::uint8_t>{2, 0, 0, 0, 0, 0, 0, 0});
    expect(b.admin(kIdentify, 2, 0, Bench::kData, 0xfffffffd), {});

    expect(b.admin(kIdentify, 3, 0, Bench::kData, 2), {});
    const auto descriptors = b.memory(Bench::kData, 4096);
    CHECK(descriptors[0] == 2);
    CHECK(descriptors[1] == 16);
    CHECK(text(descriptors, 4, 16) == text(second, 104, 16));
}

TEST_CASE("identify: refusals") {
    Ready b;
    for (const std::uint32_t nsid : {0u, 3u, 0xfffffffeu, 0xffffffffu}) {
        expect(b.admin(kIdentify, 0, 0, Bench::kData, nsid), spec::status::kInvalidNamespace);
        expect(b.admin(kIdentify, 3, 0, Bench::kData, nsid), spec::status::kInvalidNamespace);
    }
    expect(b.admin(kIdentify, 2, 0, Bench::kData, 0xfffffffe), spec::status::kInvalidNamespace);
    expect(b.admin(kIdentify, 2, 0, Bench::kData, 0xffffffff), spec::status::kInvalidNamespace);
    for (const std::uint32_t cns : {4u, 0x10u, 0x7fu, 0xffu})
        expect(b.admin(kIdentify, cns, 0, Bench::kData, 1), spec::status::kInvalidField);
    expect(b.admin(kIdentify, 1, 0, Bench::kData + 2), spec::status::kPrpOffsetInvalid);
    expect(b.admin(kIdentify, 1, 0, Bench::kData + 4), {});  // the rest at PRP2 = 0
    expect(b.admin(kIdentify, 1, 0, 1ull << 40), spec::status::kDataTransferError);
}

TEST_CASE("queues: creation, use and deletion") {
    Ready b;
    b.create_queue(1, 64, 3);
    b.unmask(3);
    expect(b.issue(1, Bench::io(2, 0, 1)), {});
    REQUIRE(b.dma.messages.size() == 1);
    CHECK(b.dma.messages[0].data == 0x4003);
    expect(b.admin(kDeleteCq, 1), spec::status::kInvalidQueueDeletion);
    expect(b.admin(kDeleteSq, 1), {});
    expect(b.admin(kDeleteSq, 1), spec::status::kInvalidQueueIdentifier);
    expect(b.admin(kDeleteCq, 1), {});
    expect(b.admin(kDeleteCq, 1), spec::status::kInvalidQueueIdentifier);
    b.create_queue(1, 2);
    expect(b.issue(1, Bench::io(2, 0, 1)), {});
}

TEST_CASE("create completion queue: refusals") {
    Ready b;
    const auto create = [&b](std::uint32_t id, std::uint32_t entries, std::uint32_t flags = 1,
                             std::uint64_t at = 0x90000) {
        return b.admin(kCreateCq, (entries - 1) << 16 | id, flags, at);
    };
    expect(create(0, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(17, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(0xffff, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(1, 1), spec::status::kInvalidQueueSize);
    expect(create(1, 1025), spec::status::kInvalidQueueSize);
    expect(create(1, 65536), spec::status::kInvalidQueueSize);
    expect(create(1, 16, 0), spec::status::kInvalidField);
    expect(create(1, 16, 1, 0x90010), spec::status::kPrpOffsetInvalid);
    expect(create(1, 16, 3 | 17u << 16), spec::status::kInvalidInterruptVector);
    expect(create(1, 16, 1 | 17u << 16), {});  // no interrupts: the vector does not count
    expect(create(1, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(2, 1024), {});
}

TEST_CASE("create submission queue: refusals") {
    Ready b;
    REQUIRE(b.admin(kCreateCq, 15u << 16 | 1, 1, 0x90000).status == 0);
    const auto create = [&b](std::uint32_t id, std::uint32_t entries, std::uint32_t cq = 1,
                             std::uint32_t flags = 1, std::uint64_t at = 0xa0000) {
        return b.admin(kCreateSq, (entries - 1) << 16 | id, flags | cq << 16, at);
    };
    expect(create(1, 16, 0), spec::status::kInvalidQueueIdentifier);
    expect(create(1, 16, 17), spec::status::kInvalidQueueIdentifier);
    expect(create(1, 16, 2), spec::status::kCompletionQueueInvalid);
    expect(create(0, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(17, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(1, 1), spec::status::kInvalidQueueSize);
    expect(create(1, 1025), spec::status::kInvalidQueueSize);
    expect(create(1, 16, 1, 0), spec::status::kInvalidField);
    expect(create(1, 16, 1, 1, 0xa0004), spec::status::kPrpOffsetInvalid);
    expect(create(1, 16), {});
    expect(create(1, 16), spec::status::kInvalidQueueIdentifier);
    expect(create(2, 16), {});  // two submission queues may share a completion queue
}

TEST_CASE("queue entry sizes must be set before queues are made") {
    Ready b;
    b.set(spec::kCc, 1);
    expect(b.admin(kCreateCq, 15u << 16 | 1, 1, 0x90000), spec::status::kInvalidQueueSize);
    b.set(spec::kCc, 4u << 20 | 5u << 16 | 1);
    expect(b.admin(kCreateCq, 15u << 16 | 1, 1, 0x90000), {});
    expect(b.admin(kCreateSq, 15u << 16 | 1, 1u << 16 | 1, 0xa0000),
           spec::status::kInvalidQueueSize);
}

TEST_CASE("number of queues") {
    Ready b;
    CHECK(b.admin(kGetFeatures, 7).result == 0x000f000f);
    expect(b.admin(kSetFeatures, 7, 0x0003ffff), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 7, 0xffff0003), spec::status::kInvalidField);
    CHECK(b.admin(kSetFeatures, 7, 0x00400040).result == 0x000f000f);
    CHECK(b.admin(kSetFeatures, 7, 0x00010003).result == 0x00030003);
    expect(b.admin(kCreateCq, 15u << 16 | 5, 1, 0x90000), spec::status::kInvalidQueueIdentifier);
    expect(b.admin(kCreateCq, 15u << 16 | 4, 1, 0x90000), {});
    expect(b.admin(kSetFeatures, 7, 0x00010001), spec::status::kCommandSequenceError);
    CHECK(b.admin(kGetFeatures, 7).result == 0x00030003);
}

TEST_CASE("features keep what they are given, and reset forgets it") {
    Ready b;
    struct Row {
        std::uint32_t id, initial, value, stored;
    };
    const Row rows[] = {{1, 0, 0x04030207, 0x04030207},
                        {5, 0, 0x1234, 0x1234},
                        {6, 1, 0, 0},
                        {8, 0, 0xabcd1234, 0x1234},
                        {0xa, 0, 1, 1},
                        {0xb, 0, 0x1f, 0x1f},
                        {4, 343, 350, 350},
                        {9, 0, 0x10000, 0x10000}};
    for (const Row& row : rows) {
        const std::uint32_t nsid = row.id == 5 ? 1 : 0;
        CHECK(b.admin(kGetFeatures, row.id, 0, 0, nsid).result == row.initial);
        expect(b.admin(kSetFeatures, row.id, row.value, 0, nsid), {});
        CHECK(b.admin(kGetFeatures, row.id, 0, 0, nsid).result == row.stored);
    }
    CHECK(b.admin(kGetFeatures, 9, 4).result == 4);
    b.set(spec::kCc, 0);
    b.enable();
    for (const Row& row : rows)
        CHECK(b.admin(kGetFeatures, row.id, 0, 0, row.id == 5 ? 1 : 0).result == row.initial);
}

TEST_CASE("features: refusals") {
    Ready b;
    for (const std::uint32_t id : {0u, 3u, 0x0cu, 0x0du, 0x80u, 0xffu}) {
        expect(b.admin(kGetFeatures, id), spec::status::kInvalidField);
        expect(b.admin(kSetFeatures, id), spec::status::kInvalidField);
    }
    expect(b.admin(kSetFeatures, 6 | 1u << 31, 1), spec::status::kFeatureNotSaveable);
    expect(b.admin(kGetFeatures, 6 | 1u << 8), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 2, 1), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 9, 17), spec::status::kInvalidField);
    expect(b.admin(kGetFeatures, 9, 17), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 4, 2u << 20), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 4, 1u << 16), spec::status::kInvalidField);
    expect(b.admin(kGetFeatures, 4, 1u << 16), spec::status::kInvalidField);
    expect(b.admin(kSetFeatures, 5, 1, 0, 9), spec::status::kInvalidNamespace);
    expect(b.admin(kGetFeatures, 5, 0, 0, 0), spec::status::kInvalidNamespace);
    expect(b.admin(kSetFeatures, 6, 1, 0, 1), spec::status::kFeatureNotPerNamespace);
    expect(b.admin(kSetFeatures, 6, 1, 0, 0xffffffff), {});
}

TEST_CASE("log pages") {
    Ready b;
    expect(b.admin(0xc0), spec::status::kInvalidOpcode);
    expect(b.admin(kGetLog, 1 | 63u << 16, 0, Bench::kData, 0xffffffff), {});
    const auto errors = b.memory(Bench::kData, 256);
    CHECK(load_le<std::uint64_t>(errors, 0) == 1);
    CHECK(load_le<std::uint16_t>(errors, 10) == 1);
    CHECK(load_le<std::uint16_t>(errors, 12) == 0x8002);
    CHECK(load_le<std::uint64_t>(errors, 64) == 0);

    b.now += 2 * 3600 * sim::kSecond;
    expect(b.admin(kGetLog, 2 | 127u << 16, 0, Bench::kData), {});
    const auto health = b.memory(Bench::kData, 512);
    CHECK(health[3] == 100);
    CHECK(load_le<std::uint64_t>(health, 112) == 1);
    CHECK(load_le<std::uint64_t>(health, 128) == 2);
    CHECK(load_le<std::uint64_t>(health, 176) == 1);

    spec::Command c = Bench::command(kGetLog, 0, Bench::kData);
    c.dword[10] = 3 | 1u << 16;
    c.dword[12] = 8;
    expect(b.issue(0, c), {});
    CHECK(b.memory(Bench::kData, 8) ==
          std::vector<std::uint8_t>{'1', '.', '0', ' ', ' ', ' ', ' ', ' '});
    c.dword[12] = 516;
    expect(b.issue(0, c), spec::status::kInvalidField);
    c.dword[12] = 6;
    expect(b.issue(0, c), spec::status::kInvalidField);
    c.dword[12] = 0;
    c.dword[13] = 1;
    expect(b.issue(0, c), spec::status::kInvalidField);
    expect(b.admin(kGetLog, 4, 0, Bench::kData), spec::status::kInvalidLogPage);
    expect(b.admin(kGetLog, 2, 0, Bench::kData, 1), spec::status::kInvalidField);
    expect(b.admin(kGetLog, 0xffff0002, 0xffff, Bench::kData), spec::status::kInvalidField);
}

TEST_CASE("abort") {
    Ready b;
    b.create_queue(1);
    const std::uint16_t victim = b.put(1, Bench::io(2, 0, 1));
    b.ring(1);
    const Answer aborted = b.issue(0, [&] {
        spec::Command c = Bench::command(kAbort);
        c.dword[10] = std::uint32_t{victim} << 16 | 1;
        return c;
    }());
    expect(aborted, {});
    CHECK(aborted.result == 0);
    const Answer a = b.take(1);
    expect(a, spec::status::kAbortRequested);
    CHECK(a.command == victim);
    CHECK(b.admin(kAbort, std::uint32_t{victim} << 16 | 1).result == 1);
    CHECK(b.admin(kAbort, 0xffffffff).result == 1);
    const std::uint16_t event = b.put(0, Bench::command(kAsyncEvent));
    b.ring(0);
    b.run();
    b.put(0, [&] {
        spec::Command c = Bench::command(kAbort);
        c.dword[10] = std::uint32_t{event} << 16;
        return c;
    }());
    b.ring(0);
    b.run();
    CHECK(b.take(0).command == event);
    CHECK(b.take(0).result == 0);
}

TEST_CASE("asynchronous event requests are held up to the limit") {
    Ready b;
    for (int i = 0; i < 4; ++i) b.put(0, Bench::command(kAsyncEvent));
    b.ring(0);
    b.run();
    CHECK_FALSE(b.take(0).came);
    expect(b.admin(kAsyncEvent), spec::status::kAsyncLimitExceeded);
}

TEST_CASE("deleting a queue aborts what it has under way, in order") {
    Ready b;
    b.create_queue(1);
    for (int i = 0; i < 3; ++i) b.put(1, Bench::io(2, 0, 1));
    b.ring(1);
    expect(b.admin(kDeleteSq, 1), {});
    for (std::uint16_t id = 1; id <= 3; ++id) {
        const Answer a = b.take(1);
        expect(a, spec::status::kAbortedSqDeletion);
        CHECK(a.command == id);
    }
    CHECK_FALSE(b.take(1).came);
    CHECK(b.controller.outstanding() == 0);
}

TEST_CASE("completions that nobody took go with their queue") {
    Ready b;
    REQUIRE(b.admin(kCreateCq, 1u << 16 | 2, 1, 0x90000).status == 0);  // room for one entry
    REQUIRE(b.admin(kCreateSq, 15u << 16 | 2, 2u << 16 | 1, 0xa0000).status == 0);
    b.queues[2] = {0xa0000, 0x90000, 16, 2};
    for (int i = 0; i < 5; ++i) b.put(2, Bench::io(2, 0, 1));
    b.ring(2);
    b.run();
    CHECK(b.controller.outstanding() == 4);
    expect(b.admin(kDeleteSq, 2), {});
    CHECK(b.controller.outstanding() == 4);
    expect(b.admin(kDeleteCq, 2), {});
    CHECK(b.controller.outstanding() == 0);
    b.create_queue(2);
    expect(b.issue(2, Bench::io(2, 0, 1)), {});
}

TEST_CASE("any admin command, however wild, is answered") {
    Ready b;
    std::uint64_t state = 7;
    const auto random = [&state] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state >> 32);
    };
    std::size_t answered = 0;
    for (int i = 0; i < 20000; ++i) {
        spec::Command c;
        for (auto& word : c.dword) word = random() >> random() % 32;
        c.dword[0] = random() % 16;
        if (c.opcode() == kAsyncEvent) c.dword[0] = kIdentify;
        if (random() % 4 != 0) c.dword[7] = c.dword[9] = 0;
        // What it may write must not hit its own queues.
        if (c.prp1() < 0x100000) c.dword[6] += 0x100000;
        if (c.prp2() < 0x100000) c.dword[8] += 0x100000;
        const Answer a = b.issue(0, c);
        REQUIRE(a.came);
        REQUIRE(b.get(spec::kCsts) == 1);
        answered += a.status == 0;
    }
    CHECK(answered > 100);
}
