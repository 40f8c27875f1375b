#pragma once
// A disk controller with memory, an interrupt catcher and a small driver.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"
#include "sim/ram.h"

namespace hvsim::devices::nvme {

/// Memory behind no IOMMU; writes to 0xfee00000 and up are messages. Addresses in `refused` fail.
struct TestDma final : DmaPort {
    struct Message {
        std::uint64_t address;
        std::uint32_t data;
        sim::Time time;
        friend bool operator==(const Message&, const Message&) = default;
    };
    sim::Ram ram{64 << 20};
    std::vector<Message> messages;
    std::uint64_t refused_page = ~std::uint64_t{0};
    sim::Duration cost = 0;  ///< of every access
    std::uint64_t accesses = 0;
    /// Addresses from here on are the controller's own registers, when set.
    NvmeController* loop = nullptr;
    std::uint64_t loop_base = 0xf0000000;

    bool refuses(std::uint64_t address, std::size_t size) {
        ++accesses;
        return sim::page_of(address) == refused_page ||
               sim::page_of(address + size - 1) == refused_page;
    }
    bool read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time,
              sim::Duration& delay) override {
        delay += cost;
        return !refuses(address, out.size()) && ram.read_bytes(address, out);
    }
    bool write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time now,
               sim::Duration& delay) override {
        const sim::Time at = now + delay;
        delay += cost;
        if (refuses(address, in.size())) return false;
        if (loop != nullptr && address >= loop_base && address < loop_base + spec::kBlockSize) {
            for (std::size_t i = 0; i + 4 <= in.size(); i += 4)
                loop->write_register(address - loop_base + i, 4, load_le<std::uint32_t>(in, i), at);
            return true;
        }
        if (address >= 0xfee00000 && address < 0xfef00000) {
            messages.push_back({address, load_le<std::uint32_t>(in, 0), at});
            return true;
        }
        return ram.write_bytes(address, in);
    }
};

struct Answer {
    bool came = false;
    std::uint32_t result = 0;
    std::uint16_t sq_head = 0;
    std::uint16_t sq_id = 0;
    std::uint16_t command = 0;
    std::uint16_t status = 0;  ///< field without phase
    std::uint8_t type() const { return status >> 8 & 7; }
    std::uint8_t code() const { return status & 0xff; }
};

struct Bench {
    static constexpr std::uint64_t kAdminSq = 0x10000, kAdminCq = 0x11000;
    static constexpr std::uint64_t kIoQueues = 0x20000;  ///< 64 KiB a queue each
    static constexpr std::uint64_t kData = 0x400000;

    explicit Bench(NvmeConfig config = quick(), std::uint64_t blocks = 4096)
        : disk(blocks * 512, 512),
          second(std::uint64_t{1024} * 4096, 4096),
          controller(config, {&disk, &second}, dma, &recorder) {}

    static NvmeConfig quick() {
        NvmeConfig config;
        config.enable_time = 0;
        return config;
    }

    std::uint64_t get(std::uint64_t offset, unsigned size = 4) {
        sim::Time at = now;
        return controller.read_register(offset, size, at);
    }
    void set(std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
        controller.write_register(offset, size, value, now);
    }
    void enable(std::uint32_t entries = 16) {
        set(spec::kAqa, (entries - 1) << 16 | (entries - 1));
        set(spec::kAsq, kAdminSq, 8);
        set(spec::kAcq, kAdminCq, 8);
        dma.ram.fill(kAdminCq, 0x1000, 0);
        set(spec::kCc, 4u << 20 | 6u << 16 | 1);
        queues.clear();
        queues[0] = {kAdminSq, kAdminCq, entries, entries};
    }
    void unmask(unsigned vector) {
        set(spec::kMsixTable + 16 * vector, 0xfee00000u + (vector << 12));
        set(spec::kMsixTable + 16 * vector + 8, 0x4000 + vector);
        set(spec::kMsixTable + 16 * vector + 12, 0);
    }

    struct Queue {
        std::uint64_t sq = 0, cq = 0;
        std::uint32_t sq_size = 0, cq_size = 0;
        std::uint32_t tail = 0, head = 0;
        bool phase = true;
        std::uint16_t next_id = 1;
    };

    static spec::Command command(unsigned opcode, std::uint32_t nsid = 0, std::uint64_t prp1 = 0,
                                 std::uint64_t prp2 = 0) {
        spec::Command c;
        c.dword[0] = opcode;
        c.dword[1] = nsid;
        c.dword[6] = static_cast<std::uint32_t>(prp1);
        c.dword[7] = static_cast<std::uint32_t>(prp1 >> 32);
        c.dword[8] = static_cast<std::uint32_t>(prp2);
        c.dword[9] = static_cast<std::uint32_t>(prp2 >> 32);
        return c;
    }
    static spec::Command io(unsigned opcode, std::uint64_t lba, std::uint32_t blocks,
                            std::uint64_t prp1 = kData, std::uint64_t prp2 = 0,
                            std::uint32_t nsid = 1) {
        spec::Command c = command(opcode, nsid, prp1, prp2);
        c.dword[10] = static_cast<std::uint32_t>(lba);
        c.dword[11] = static_cast<std::uint32_t>(lba >> 32);
        c.dword[12] = blocks - 1;
        return c;
    }

    /// Puts a command into the queue without ringing; returns its identifier.
    std::uint16_t put(std::uint16_t queue, spec::Command c) {
        Queue& q = queues.at(queue);
        const std::uint16_t id = q.next_id++;
        c.dword[0] |= std::uint32_t{id} << 16;
        for (std::size_t i = 0; i < 16; ++i)
            REQUIRE(dma.ram.write(q.sq + q.tail * 64 + i * 4, c.dword[i]));
        q.tail = (q.tail + 1) % q.sq_size;
        return id;
    }
    void ring(std::uint16_t queue) { set(spec::kDoorbells + 8u * queue, queues.at(queue).tail); }
    /// The next completion entry if there is one; `release` rings the head doorbell.
    Answer take(std::uint16_t queue, bool release = true) {
        Queue& q = queues.at(queue);
        std::array<std::uint8_t, 16> e;
        REQUIRE(dma.ram.read_bytes(q.cq + q.head * 16, e));
        const auto last = load_le<std::uint16_t>(e, 14);
        Answer a;
        if ((last & 1) != (q.phase ? 1 : 0)) return a;
        a = {true,
             load_le<std::uint32_t>(e, 0),
             load_le<std::uint16_t>(e, 8),
             load_le<std::uint16_t>(e, 10),
             load_le<std::uint16_t>(e, 12),
             static_cast<std::uint16_t>(last >> 1)};
        q.head = (q.head + 1) % q.cq_size;
        if (q.head == 0) q.phase = !q.phase;
        if (release) set(spec::kDoorbells + 8u * queue + 4, q.head);
        return a;
    }
    void run() {
        while (controller.next_deadline() != sim::kNever) {
            now = std::max(now, controller.next_deadline());
            controller.advance_to(now);
        }
    }
    /// One command from ringing to its completion.
    Answer issue(std::uint16_t queue, const spec::Command& c) {
        const std::uint16_t id = put(queue, c);
        ring(queue);
        run();
        const Answer a = take(queue);
        if (a.came) CHECK(a.command == id);
        return a;
    }
    Answer admin(unsigned opcode, std::uint32_t d10 = 0, std::uint32_t d11 = 0,
                 std::uint64_t prp1 = 0, std::uint32_t nsid = 0) {
        spec::Command c = command(opcode, nsid, prp1);
        c.dword[10] = d10;
        c.dword[11] = d11;
        return issue(0, c);
    }
    void create_queue(std::uint16_t id, std::uint32_t entries = 64, unsigned vector = 0) {
        const std::uint64_t sq = kIoQueues + id * 0x10000u, cq = sq + 0x8000;
        dma.ram.fill(cq, 0x8000, 0);
        REQUIRE(admin(5, (entries - 1) << 16 | id, vector << 16 | 3, cq).status == 0);
        REQUIRE(admin(1, (entries - 1) << 16 | id, std::uint32_t{id} << 16 | 1, sq).status == 0);
        queues[id] = {sq, cq, entries, entries};
    }
    std::vector<std::uint8_t> memory(std::uint64_t address, std::size_t size) {
        std::vector<std::uint8_t> bytes(size);
        REQUIRE(dma.ram.read_bytes(address, bytes));
        return bytes;
    }
    std::map<std::string, std::uint64_t> statistics() const {
        struct Collect final : sim::StatisticsSink {
            std::map<std::string, std::uint64_t> values;
            void add(std::string_view name, std::uint64_t value, std::string_view,
                     std::string_view) override {
                values[std::string(name)] = value;
            }
        } sink;
        controller.collect(sink);
        return sink.values;
    }

    TestDma dma;
    sim::Recorder recorder;
    DiskImage disk;
    DiskImage second;
    NvmeController controller;
    sim::Time now = 0;
    std::map<std::uint16_t, Queue> queues;
};

}  // namespace hvsim::devices::nvme
