// The shell on a SystemC kernel: DMA through translation, interrupts, the register page. The
// simulation never runs: transactions carry annotated delay only.
#include <doctest/doctest.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstring>
#include <numeric>
#include <systemc>

#include "iommu/tlm/iommu_shell.h"
#include "iommu/tlm/source_id.h"
#include "tests/iommu/vtd_fixture.h"

using namespace hvsim;
using namespace hvsim::iommu;
using namespace hvsim::iommu::tlm_shell;
using namespace hvsim::iommu::vtd::test;

// libsystemc's own main() is not used, but the library refers to this.
int sc_main(int, char**) {
    return 0;
}

namespace {

struct Initiator : public sc_core::sc_module {
    tlm_utils::simple_initiator_socket<Initiator> socket{"socket"};
    explicit Initiator(const sc_core::sc_module_name& name) : sc_module(name) {}
};

/// Memory behind the IOMMU; refuses what is outside of RAM.
struct Memory : public sc_core::sc_module {
    tlm_utils::simple_target_socket<Memory> socket{"socket"};
    sim::Ram& ram;
    std::vector<std::pair<std::uint64_t, unsigned>> seen;

    Memory(const sc_core::sc_module_name& name, sim::Ram& memory) : sc_module(name), ram(memory) {
        socket.register_b_transport(this, &Memory::b_transport);
    }
    void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
        seen.emplace_back(payload.get_address(), payload.get_data_length());
        delay += sc_core::sc_time::from_value(7);
        const std::span bytes(payload.get_data_ptr(), payload.get_data_length());
        const bool inside = payload.is_read() ? ram.read_bytes(payload.get_address(), bytes)
                                              : ram.write_bytes(payload.get_address(), bytes);
        payload.set_response_status(inside ? tlm::TLM_OK_RESPONSE
                                           : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    }
};

sim::TimingProfile costs() {
    sim::TimingProfile profile;
    profile.memory_iotlb_miss = 1000;
    profile.memory_io_walk_step = 10;
    profile.memory_dma_page = 100;
    profile.memory_iommu_invalidate = 5;
    profile.interrupt_remap = 20;
    profile.device_mmio = 1;
    return profile;
}

struct Bench {
    Fixture f;
    sim::Time zero = 1'000'000;
    sim::TimingProfile profile = costs();
    IommuShell shell{"iommu", f.unit, zero, profile};
    Initiator disk{"disk"};
    Initiator stranger{"stranger"};
    Initiator cpu{"cpu"};
    Memory memory{"memory", f.ram};

    Bench() {
        shell.add_device(Fixture::kSource, disk.socket);
        shell.add_device(0x0200, stranger.socket);
        shell.memory.bind(memory.socket);
        cpu.socket.bind(shell.registers);
        sc_core::sc_start(sc_core::SC_ZERO_TIME);  // elaboration
    }
    struct Answer {
        tlm::tlm_response_status status;
        std::uint64_t delay;
    };
    Answer access(Initiator& from, tlm::tlm_command command, std::uint64_t address, void* data,
                  unsigned length, SourceIdExtension* extension = nullptr) {
        tlm::tlm_generic_payload payload;
        payload.set_command(command);
        payload.set_address(address);
        payload.set_data_ptr(static_cast<std::uint8_t*>(data));
        payload.set_data_length(length);
        payload.set_streaming_width(length);
        if (extension != nullptr) payload.set_extension(extension);
        sc_core::sc_time delay = sc_core::sc_time::from_value(50);
        from.socket->b_transport(payload, delay);
        if (extension != nullptr) payload.clear_extension(extension);
        CHECK(payload.get_address() == address);
        CHECK(payload.get_data_ptr() == data);
        CHECK(payload.get_data_length() == length);
        CHECK(payload.get_streaming_width() == length);
        return {payload.get_response_status(), delay.value() - 50};
    }
};

}  // namespace

TEST_CASE("an IOMMU between two devices, memory and a processor") {
    // SystemC allows one set of modules a process, so the cases share it.
    Bench b;
    Fixture& f = b.f;
    constexpr auto kIova = Fixture::kIova;
    f.put(f.slot(kIova + 0x1000, 1), 0x0250'0000 | kRead | kWrite);
    std::vector<std::uint8_t> out(6000), in(6000);
    std::iota(out.begin(), out.end(), std::uint8_t{3});

    // A write across two pages that are apart in memory.
    auto answer = b.access(b.disk, tlm::TLM_WRITE_COMMAND, kIova + 0x100, out.data(), 6000);
    CHECK(answer.status == tlm::TLM_OK_RESPONSE);
    REQUIRE(b.memory.seen.size() == 2);
    CHECK(b.memory.seen[0] == std::pair<std::uint64_t, unsigned>{Fixture::kFrame + 0x100, 0xf00});
    CHECK(b.memory.seen[1] == std::pair<std::uint64_t, unsigned>{0x0250'0000, 6000 - 0xf00});
    // Two misses, 6 and 4 references, two pages, two accesses of memory.
    CHECK(answer.delay == 2 * 1000 + 10 * 10 + 2 * 100 + 2 * 7);
    answer = b.access(b.disk, tlm::TLM_READ_COMMAND, kIova + 0x100, in.data(), 6000);
    CHECK(answer.delay == 2 * 100 + 2 * 7);
    CHECK(in == out);

    // A fault on the last page: nothing is transferred, and the log has the faulting page.
    b.memory.seen.clear();
    answer = b.access(b.disk, tlm::TLM_WRITE_COMMAND, kIova + 0x1800, out.data(), 6000);
    CHECK(answer.status == tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK(b.memory.seen.empty());
    CHECK(f.read64(0x200) == kIova + 0x2000);
    CHECK(f.recorded_reason() == 5);
    f.write64(0x208, std::uint64_t{1} << 63);

    // The other device has no context entry; with the first one's id it passes.
    std::uint64_t word = 0;
    answer = b.access(b.stranger, tlm::TLM_READ_COMMAND, kIova, &word, 8);
    CHECK(answer.status == tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK((f.read64(0x218) & 0xffff) == 0x0200);
    SourceIdExtension id;
    id.source = Fixture::kSource;
    CHECK(b.access(b.stranger, tlm::TLM_READ_COMMAND, kIova, &word, 8, &id).status ==
          tlm::TLM_OK_RESPONSE);

    // What memory refuses is refused; an address that wraps is, too.
    f.command(0, kTE);
    CHECK(b.access(b.disk, tlm::TLM_READ_COMMAND, 0x1'0000'0000, &word, 8).status ==
          tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK(b.access(b.disk, tlm::TLM_READ_COMMAND, ~std::uint64_t{3}, &word, 8).status ==
          tlm::TLM_ADDRESS_ERROR_RESPONSE);
    f.command(kTE);

    // Interrupt requests: remapped, at the annotated time; malformed ones are refused.
    f.enable_interrupts();
    f.set_irte(9, 1 | 0x71 << 16 | std::uint64_t{4} << 32, Fixture::kSource | 1 << 18);
    std::uint32_t data = 0;
    const std::uint64_t msi = Fixture::request(9).address;
    answer = b.access(b.disk, tlm::TLM_WRITE_COMMAND, msi, &data, 4);
    CHECK(answer.status == tlm::TLM_OK_RESPONSE);
    CHECK(answer.delay == 20);
    REQUIRE(f.fabric.sent.size() == 1);
    CHECK(f.fabric.sent[0].message.vector == 0x71);
    CHECK(f.fabric.sent[0].source.id == Fixture::kSource);
    CHECK(f.fabric.sent[0].time == 1'000'000 + 50 + 20);
    CHECK(b.access(b.stranger, tlm::TLM_WRITE_COMMAND, msi, &data, 4).status ==
          tlm::TLM_OK_RESPONSE);  // blocked without the device's knowledge
    CHECK(f.fabric.sent.size() == 1);
    CHECK(f.unit.counters().interrupt_faults == 1);
    CHECK(b.access(b.disk, tlm::TLM_READ_COMMAND, msi & ~std::uint64_t{7}, &data, 4).status ==
          tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK(b.access(b.disk, tlm::TLM_WRITE_COMMAND, 0xfee0'0000, &word, 8).status ==
          tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK(b.access(b.disk, tlm::TLM_WRITE_COMMAND, 0xfedf'fffe, &data, 4).status ==
          tlm::TLM_ADDRESS_ERROR_RESPONSE);
    CHECK(f.fabric.sent.size() == 1);

    // The register page.
    CHECK(b.access(b.cpu, tlm::TLM_READ_COMMAND, 0x08, &word, 8).delay == 1);
    CHECK(word == f.read64(0x08));
    word = std::uint64_t{1} << 63 | std::uint64_t{1} << 60;
    CHECK(b.access(b.cpu, tlm::TLM_WRITE_COMMAND, 0x508, &word, 8).delay == 1 + 5);
    CHECK(f.unit.counters().invalidations == 1);
    std::uint8_t wide[16];
    std::memset(wide, 0xee, sizeof wide);
    CHECK(b.access(b.cpu, tlm::TLM_READ_COMMAND, 0, wide, 16).status == tlm::TLM_OK_RESPONSE);
    CHECK(wide[15] == 0);

    // No pointers and no debug access past the translation; no byte enables, no streaming.
    tlm::tlm_generic_payload payload;
    tlm::tlm_dmi dmi;
    payload.set_address(kIova);
    CHECK_FALSE(b.disk.socket->get_direct_mem_ptr(payload, dmi));
    payload.set_command(tlm::TLM_READ_COMMAND);
    payload.set_data_ptr(wide);
    payload.set_data_length(16);
    payload.set_streaming_width(8);
    CHECK(b.disk.socket->transport_dbg(payload) == 0);
    sc_core::sc_time delay;
    b.disk.socket->b_transport(payload, delay);
    CHECK(payload.get_response_status() == tlm::TLM_BURST_ERROR_RESPONSE);
    payload.set_byte_enable_ptr(wide);
    b.disk.socket->b_transport(payload, delay);
    CHECK(payload.get_response_status() == tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    payload.set_byte_enable_ptr(nullptr);
    payload.set_streaming_width(16);
    payload.set_command(tlm::TLM_IGNORE_COMMAND);
    b.disk.socket->b_transport(payload, delay);
    CHECK(payload.get_response_status() == tlm::TLM_COMMAND_ERROR_RESPONSE);
}
