#include "devices/tlm/register_target.h"

#include <algorithm>
#include <cstring>

namespace hvsim::devices::tlm_shell {
namespace {

/// Registers count bytes little endian, as this host must (sim/recorder.cpp asserts it).
std::uint64_t load(const std::uint8_t* data, unsigned size) {
    std::uint64_t value = 0;
    std::memcpy(&value, data, size);
    return value;
}

}  // namespace

RegisterTarget::RegisterTarget(const sc_core::sc_module_name& name, RegisterDevice& device,
                               const TimeBase& time, sim::Duration latency)
    : sc_module(name), device_(device), time_(time), latency_(latency) {
    socket.register_b_transport(this, &RegisterTarget::b_transport);
}

void RegisterTarget::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    const unsigned length = payload.get_data_length();
    if (payload.get_byte_enable_ptr() != nullptr) {
        payload.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return;
    }
    if (payload.get_streaming_width() < length) {
        payload.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return;
    }
    const bool natural = length == 1 || length == 2 || length == 4 || length == 8;
    const unsigned step = natural ? std::min(length, device_.widest_access()) : 1;
    sim::Time now = time_.at(delay);
    const sim::Time called_at = now;
    for (unsigned done = 0; done < length; done += step) {
        std::uint8_t* const data = payload.get_data_ptr() + done;
        const std::uint64_t offset = payload.get_address() + done;
        if (payload.is_read()) {
            const std::uint64_t value = device_.read_register(offset, step, now);
            std::memcpy(data, &value, step);
        } else if (payload.is_write()) {
            device_.write_register(offset, step, load(data, step), now);
        }
    }
    delay += to_sc_time(now - called_at + latency_);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace hvsim::devices::tlm_shell
