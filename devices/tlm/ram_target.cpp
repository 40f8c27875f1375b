#include "devices/tlm/ram_target.h"

#include <algorithm>
#include <span>

#include "devices/tlm/time_bridge.h"

namespace hvsim::devices::tlm_shell {
namespace {

bool transfer(sim::Ram& ram, tlm::tlm_generic_payload& payload, std::size_t length) {
    const std::span<std::uint8_t> data(payload.get_data_ptr(), length);
    if (payload.is_read()) return ram.read_bytes(payload.get_address(), data);
    if (payload.is_write()) return ram.write_bytes(payload.get_address(), data);
    return true;
}

}  // namespace

RamTarget::RamTarget(const sc_core::sc_module_name& name, sim::Ram& ram, sim::Duration read_latency,
                     sim::Duration write_latency)
    : sc_module(name),
      ram_(ram),
      read_latency_(to_sc_time(read_latency)),
      write_latency_(to_sc_time(write_latency)) {
    socket.register_b_transport(this, &RamTarget::b_transport);
    socket.register_transport_dbg(this, &RamTarget::transport_dbg);
    socket.register_get_direct_mem_ptr(this, &RamTarget::get_direct_mem_ptr);
}

void RamTarget::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    if (payload.get_byte_enable_ptr() != nullptr) {
        payload.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
        return;
    }
    if (payload.get_streaming_width() < payload.get_data_length()) {
        payload.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return;
    }
    if (!transfer(ram_, payload, payload.get_data_length())) {
        payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    delay += payload.is_write() ? write_latency_ : read_latency_;
    payload.set_dmi_allowed(true);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned RamTarget::transport_dbg(tlm::tlm_generic_payload& payload) {
    for (const sim::RamPiece& piece : ram_.pieces()) {
        const std::uint64_t address = payload.get_address();
        if (address < piece.base || address >= piece.end()) continue;
        const auto length = static_cast<unsigned>(
            std::min<std::uint64_t>(payload.get_data_length(), piece.end() - address));
        return transfer(ram_, payload, length) ? length : 0;
    }
    return 0;
}

bool RamTarget::get_direct_mem_ptr(tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi) {
    const std::uint64_t address = payload.get_address();
    std::uint64_t hole_base = 0;
    std::uint64_t hole_last = ~std::uint64_t{0};
    for (const sim::RamPiece& piece : ram_.pieces()) {
        if (address < piece.base) {
            hole_last = piece.base - 1;
            break;
        }
        if (address < piece.end()) {
            dmi.set_start_address(piece.base);
            dmi.set_end_address(piece.end() - 1);
            dmi.set_dmi_ptr(ram_.data() + piece.base);
            dmi.set_read_latency(read_latency_);
            dmi.set_write_latency(write_latency_);
            dmi.allow_read_write();
            return true;
        }
        hole_base = piece.end();
    }
    dmi.set_start_address(hole_base);
    dmi.set_end_address(hole_last);
    dmi.allow_none();
    return false;
}

}  // namespace hvsim::devices::tlm_shell
