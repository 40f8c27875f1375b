#include "iommu/tlm/iommu_shell.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "iommu/tlm/source_id.h"
#include "sim/error.h"

namespace hvsim::iommu::tlm_shell {
namespace {

constexpr std::uint64_t kPage = 4096;

sc_core::sc_time to_sc_time(sim::Duration duration) {
    SIM_ASSERT(sc_core::sc_get_time_resolution() == sc_core::sc_time(1, sc_core::SC_PS));
    return sc_core::sc_time::from_value(duration);
}

/// Answers payloads that the shell does not split: byte enables and streaming.
bool refuse_unusual(tlm::tlm_generic_payload& payload) {
    if (payload.get_byte_enable_ptr() != nullptr) {
        payload.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return true;
    }
    if (payload.get_streaming_width() < payload.get_data_length()) {
        payload.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return true;
    }
    if (!payload.is_read() && !payload.is_write()) {
        payload.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
        return true;
    }
    return false;
}

}  // namespace

IommuShell::IommuShell(const sc_core::sc_module_name& name, DmaRemapper& remapper,
                       const sim::Time& time_at_zero, const sim::TimingProfile& costs)
    : sc_module(name), remapper_(remapper), time_at_zero_(time_at_zero), costs_(costs) {
    devices.register_b_transport(this, &IommuShell::dma);
    devices.register_transport_dbg(this, &IommuShell::dma_debug);
    devices.register_get_direct_mem_ptr(this, &IommuShell::dma_direct);
    registers.register_b_transport(this, &IommuShell::access_registers);
}

void IommuShell::add_device(SourceId source, InitiatorSocket& socket) {
    socket.bind(devices);
    sources_.push_back(source);
}

sim::Time IommuShell::time_at(const sc_core::sc_time& delay) const {
    return time_at_zero_ + (sc_core::sc_time_stamp() + delay).value();
}

SourceId IommuShell::source_of(int binding, const tlm::tlm_generic_payload& payload) const {
    if (const auto* const extension = payload.get_extension<SourceIdExtension>())
        return extension->source;
    return sources_.at(static_cast<std::size_t>(binding));
}

void IommuShell::dma(int binding, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    payload.set_dmi_allowed(false);
    if (refuse_unusual(payload)) return;
    const SourceId source = source_of(binding, payload);
    const std::uint64_t first = payload.get_address();
    const std::uint64_t length = payload.get_data_length();
    const std::uint64_t last = first + (length == 0 ? 0 : length - 1);
    if (first <= kInterruptRangeLast && last >= kInterruptRangeFirst) {
        interrupt(source, payload, delay);
        return;
    }
    if (last < first || !translate_all(source, payload, delay)) {
        payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    transfer(payload, delay);
}

/// The whole transaction is translated before a byte moves: a fault transfers nothing.
bool IommuShell::translate_all(SourceId source, const tlm::tlm_generic_payload& payload,
                               sc_core::sc_time& delay) {
    pieces_.clear();
    const std::uint64_t length = payload.get_data_length();
    for (std::uint64_t done = 0; done < length;) {
        const std::uint64_t address = payload.get_address() + done;
        const std::uint64_t in_page = std::min(length - done, kPage - address % kPage);
        const DmaResult result = remapper_.translate(
            {.source = source, .address = address, .size = in_page, .is_write = payload.is_write()},
            time_at(delay));
        sim::Duration cost = costs_.memory_io_walk_step * result.work.memory_references;
        if (!result.work.cache_hit) cost += costs_.memory_iotlb_miss;
        delay += to_sc_time(cost);
        if (!result.allowed) return false;
        SIM_ASSERT(result.length != 0);
        pieces_.push_back({result.address, std::min(result.length, in_page)});
        done += pieces_.back().length;
    }
    return true;
}

void IommuShell::transfer(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    const std::uint64_t address = payload.get_address();
    std::uint8_t* const data = payload.get_data_ptr();
    const unsigned length = payload.get_data_length();
    const unsigned streaming = payload.get_streaming_width();
    // What lies behind the interconnect may call back into the shell (a device's own DMA), which
    // uses pieces_ for itself.
    const std::vector<Piece> pieces = std::exchange(pieces_, {});
    unsigned done = 0;
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    for (const Piece& piece : pieces) {
        payload.set_address(piece.address);
        payload.set_data_ptr(data + done);
        payload.set_data_length(static_cast<unsigned>(piece.length));
        payload.set_streaming_width(static_cast<unsigned>(piece.length));
        payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        delay += to_sc_time(costs_.memory_dma_page);
        memory->b_transport(payload, delay);
        if (payload.is_response_error()) break;
        done += static_cast<unsigned>(piece.length);
    }
    payload.set_address(address);
    payload.set_data_ptr(data);
    payload.set_data_length(length);
    payload.set_streaming_width(streaming);
    payload.set_dmi_allowed(false);
}

/// VT-d 3.14, APM IOMMU 2.2.5: in the interrupt range only aligned 32-bit writes mean something.
void IommuShell::interrupt(SourceId source, tlm::tlm_generic_payload& payload,
                           sc_core::sc_time& delay) {
    if (!payload.is_write() || payload.get_data_length() != 4 || payload.get_address() % 4 != 0) {
        payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    std::uint32_t data = 0;
    std::memcpy(&data, payload.get_data_ptr(), sizeof data);
    // A blocked request is no error for the device: it was a posted write. From here on the way to
    // the local APIC is the fabric's.
    delay += to_sc_time(costs_.interrupt_remap);
    remapper_.write_msi({payload.get_address(), data},
                        {apic::InterruptSource::Kind::device, source}, time_at(delay));
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned IommuShell::dma_debug(int, tlm::tlm_generic_payload&) {
    return 0;
}

bool IommuShell::dma_direct(int, tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi) {
    dmi.init();
    dmi.set_start_address(0);
    dmi.set_end_address(~sc_dt::uint64{0});
    payload.set_dmi_allowed(false);
    return false;
}

void IommuShell::access_registers(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    if (refuse_unusual(payload)) return;
    const unsigned length = payload.get_data_length();
    std::uint8_t* const data = payload.get_data_ptr();
    delay += to_sc_time(costs_.device_mmio);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (length > 8) {
        if (payload.is_read()) std::memset(data, 0, length);
        return;
    }
    std::uint64_t value = 0;
    if (payload.is_read()) {
        value = remapper_.read_register(payload.get_address(), length);
        std::memcpy(data, &value, length);
        return;
    }
    std::memcpy(&value, data, length);
    const std::uint64_t invalidations =
        remapper_.write_register(payload.get_address(), length, value, time_at(delay));
    delay += to_sc_time(costs_.memory_iommu_invalidate * invalidations);
}

}  // namespace hvsim::iommu::tlm_shell
