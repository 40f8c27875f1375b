// The disk controller behind the IOMMU on a SystemC kernel, while its tables are changed in memory
// behind the models' back: a change counts after the queued invalidation, not before (VT-d 6.1,
// 6.5.2). One simulation in a process, so one test case.
#include <doctest/doctest.h>

#include <array>
#include <systemc>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"
#include "devices/tlm/dma_initiator.h"
#include "devices/tlm/ram_target.h"
#include "devices/tlm/register_target.h"
#include "iommu/tlm/iommu_shell.h"
#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::devices;
using iommu::vtd::test::Fixture;

namespace {

namespace spec = nvme::spec;
constexpr std::uint64_t kLeaf = iommu::vtd::test::kRead | iommu::vtd::test::kWrite;
// The device's addresses, and where its tables put them.
constexpr std::uint64_t kSubmission = 0x10'0000, kCompletion = 0x10'1000, kBuffer = 0x10'2000;
constexpr std::uint64_t kSubmissionFrame = 0x100'0000, kCompletionFrame = 0x100'1000,
                        kFirstFrame = 0x200'0000, kSecondFrame = 0x201'0000;
constexpr unsigned kEntries = 16, kHandle = 9;
constexpr std::uint8_t kFirstVector = 0x71, kSecondVector = 0x72;

constexpr std::uint64_t irte(std::uint8_t vector) {
    return 1 | std::uint64_t{vector} << 16 | std::uint64_t{4} << 32;
}

/// VT-d unit, controller, memory, and a driver of the controller's admin queue.
struct Host {
    Host() {
        f.enable_queue();
        f.enable_interrupts();
        map(kSubmission, kSubmissionFrame);
        map(kCompletion, kCompletionFrame);
        map(kBuffer, kFirstFrame);
        f.set_irte(kHandle, irte(kFirstVector), Fixture::kSource | 1 << 18);
        shell.add_device(Fixture::kSource, dma.socket);
        shell.memory.bind(memory.socket);
        idle.socket.bind(shell.registers);
        sc_core::sc_start(sc_core::SC_ZERO_TIME);  // elaboration
        set(spec::kAqa, (kEntries - 1) << 16 | (kEntries - 1));
        set(spec::kAsq, kSubmission, 8);
        set(spec::kAcq, kCompletion, 8);
        const apic::MsiMessage message = Fixture::request(kHandle);
        set(spec::kMsixTable, message.address);
        set(spec::kMsixTable + 8, message.data);
        set(spec::kMsixTable + 12, 0);
        set(spec::kCc, 4u << 20 | 6u << 16 | 1);
    }

    /// Writes one second-level leaf, nothing else.
    void map(std::uint64_t address, std::uint64_t frame) {
        f.put(f.slot(address, 1), frame == 0 ? 0 : frame | kLeaf);
    }
    void invalidate_page(std::uint64_t address) {
        f.submit(2 | 3 << 4 | std::uint64_t{Fixture::kDomain} << 16, address);
    }
    void invalidate_interrupt() { f.submit(4 | 1 << 4 | std::uint64_t{kHandle} << 32); }

    void set(std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
        controller.write_register(offset, size, value, now);
    }
    /// IDENTIFY of the controller into the buffer; its status field.
    std::uint16_t identify() {
        for (const std::uint64_t frame : {kFirstFrame, kSecondFrame}) f.put(frame, 0);
        std::array<std::uint32_t, 16> command{};
        command[0] = 6 | std::uint32_t{++id} << 16;
        command[6] = static_cast<std::uint32_t>(kBuffer);
        command[10] = 1;
        REQUIRE(f.ram.write(kSubmissionFrame + tail * 64, command));
        tail = (tail + 1) % kEntries;
        set(spec::kDoorbells, tail);
        while (controller.next_deadline() != sim::kNever) {
            now = std::max(now, controller.next_deadline());
            controller.advance_to(now);
        }
        std::array<std::uint8_t, 16> entry{};
        REQUIRE(f.ram.read_bytes(kCompletionFrame + head * 16, entry));
        REQUIRE(load_le<std::uint16_t>(entry, 12) == id);
        head = (head + 1) % kEntries;
        set(spec::kDoorbells + 4, head);
        return load_le<std::uint16_t>(entry, 14) >> 1;
    }
    /// Which of the two frames the last answer is in; 0: neither.
    std::uint64_t frame() const {
        const bool first = f.get(kFirstFrame) != 0, second = f.get(kSecondFrame) != 0;
        CHECK_FALSE((first && second));
        return first ? kFirstFrame : second ? kSecondFrame : 0;
    }
    /// The vectors of the interrupts since the last call.
    std::vector<std::uint8_t> interrupts() {
        std::vector<std::uint8_t> vectors;
        for (const auto& sent : f.fabric.sent) vectors.push_back(sent.message.vector);
        f.fabric.sent.clear();
        return vectors;
    }

    Fixture f;
    devices::tlm_shell::TimeBase time;
    sim::Time zero = 0, now = 1'000'000;
    sim::TimingProfile costs;
    DiskImage disk{1 << 20, 512};
    devices::tlm_shell::DmaInitiator dma{"disk", time};
    nvme::NvmeController controller{quick(), {&disk}, dma, nullptr};
    iommu::tlm_shell::IommuShell shell{"iommu", f.unit, zero, costs};
    devices::tlm_shell::RamTarget memory{"memory", f.ram};
    devices::tlm_shell::DmaInitiator idle{"idle", time};  // the register page needs a master
    unsigned tail = 0, head = 0;
    std::uint16_t id = 0;

    static nvme::NvmeConfig quick() {
        nvme::NvmeConfig config;
        config.enable_time = 0;
        return config;
    }
};

using Vectors = std::vector<std::uint8_t>;

}  // namespace

TEST_CASE("a disk's DMA and interrupts follow tables that change in memory, once invalidated") {
    if (sc_core::sc_start_of_simulation_invoked()) {
        MESSAGE("another test has had this process's simulation");
        return;
    }
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_set_time_resolution(1, sc_core::SC_PS);
    Host host;
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kFirstFrame);
    CHECK(host.interrupts() == Vectors{kFirstVector});

    // The page moves. Before the invalidation, and after that of another page, it has not.
    host.map(kBuffer, kSecondFrame);
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kFirstFrame);
    host.invalidate_page(kBuffer + 0x1000);
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kFirstFrame);
    host.invalidate_page(kBuffer);
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kSecondFrame);
    CHECK(host.interrupts() == Vectors(3, kFirstVector));

    // The interrupt's entry names another vector.
    host.f.set_irte(kHandle, irte(kSecondVector), Fixture::kSource | 1 << 18);
    CHECK(host.identify() == 0);
    CHECK(host.interrupts() == Vectors{kFirstVector});
    host.invalidate_interrupt();
    CHECK(host.identify() == 0);
    CHECK(host.interrupts() == Vectors{kSecondVector});

    // A cleared leaf: the cached one serves until the invalidation, then the command fails, the
    // fault is recorded, and no memory is written.
    host.map(kBuffer, 0);
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kSecondFrame);
    CHECK(host.f.recorded_reason() == 0);
    host.invalidate_page(kBuffer);
    CHECK(host.identify() != 0);
    CHECK(host.frame() == 0);
    CHECK(host.f.recorded_reason() == 5);  // a write where the entry grants none
    CHECK((host.f.read64(0x208) & 0xffff) == Fixture::kSource);
    CHECK(host.f.read64(0x200) == kBuffer);
    CHECK(host.interrupts() == Vectors(2, kSecondVector));
    host.f.write64(0x208, std::uint64_t{1} << 63);
    // Giving the page back: what is not present is never cached (VT-d 6.1).
    host.map(kBuffer, kFirstFrame);
    CHECK(host.identify() == 0);
    CHECK(host.frame() == kFirstFrame);
    CHECK(host.interrupts() == Vectors{kSecondVector});

    // A cleared entry of the interrupt remapping table.
    host.f.set_irte(kHandle, 0, 0);
    CHECK(host.identify() == 0);
    CHECK(host.interrupts() == Vectors{kSecondVector});
    host.invalidate_interrupt();
    CHECK(host.identify() == 0);
    CHECK(host.interrupts().empty());
    CHECK(host.f.unit.counters().interrupt_faults == 1);
    // The last fault went into the next record: reason and interrupt index (VT-d 7.2.1, 11.4.14).
    const std::uint64_t high = host.f.read64(0x218);
    CHECK((high >> 63) == 1);
    CHECK((high >> 32 & 0xff) == 0x22);
    CHECK((high & 0xffff) == Fixture::kSource);
    CHECK((host.f.read64(0x210) >> 48) == kHandle);
}
