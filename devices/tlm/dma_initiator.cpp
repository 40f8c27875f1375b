#include "devices/tlm/dma_initiator.h"

#include <limits>

#include "sim/error.h"

namespace hvsim::devices::tlm_shell {

DmaInitiator::DmaInitiator(const sc_core::sc_module_name& name, const TimeBase& time)
    : sc_module(name), time_(time) {}

bool DmaInitiator::transport(tlm::tlm_command command, std::uint64_t address, std::uint8_t* data,
                             std::size_t size, sim::Time now, sim::Duration& delay) {
    SIM_ASSERT(size <= std::numeric_limits<unsigned>::max());
    if (size == 0) return true;
    tlm::tlm_generic_payload payload;
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(data);
    payload.set_data_length(static_cast<unsigned>(size));
    payload.set_streaming_width(static_cast<unsigned>(size));
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time annotated = time_.delay_until(now + delay);
    const sc_core::sc_time before = annotated;
    socket->b_transport(payload, annotated);
    delay += from_sc_time(annotated - before);
    return payload.is_response_ok();
}

bool DmaInitiator::read(std::uint64_t address, std::span<std::uint8_t> out, sim::Time now,
                        sim::Duration& delay) {
    return transport(tlm::TLM_READ_COMMAND, address, out.data(), out.size(), now, delay);
}

bool DmaInitiator::write(std::uint64_t address, std::span<const std::uint8_t> in, sim::Time now,
                         sim::Duration& delay) {
    // The standard has one pointer for both directions; a target never writes to write data.
    return transport(tlm::TLM_WRITE_COMMAND, address, const_cast<std::uint8_t*>(in.data()),
                     in.size(), now, delay);
}

}  // namespace hvsim::devices::tlm_shell
