#include "devices/tlm/bus_master.h"

#include <cstring>
#include <limits>

#include "devices/tlm/time_bridge.h"
#include "sim/error.h"

namespace hvsim::devices::tlm_shell {
namespace {

void fill(tlm::tlm_generic_payload& payload, tlm::tlm_command command, std::uint64_t address,
          std::uint8_t* data, std::size_t size) {
    SIM_ASSERT(size <= std::numeric_limits<unsigned>::max());
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(data);
    payload.set_data_length(static_cast<unsigned>(size));
    payload.set_streaming_width(static_cast<unsigned>(size));
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
}

}  // namespace

BusMaster::BusMaster(const sc_core::sc_module_name& name) : sc_module(name) {
    memory.register_invalidate_direct_mem_ptr(this, &BusMaster::invalidate);
}

bool BusMaster::transport(Space space, tlm::tlm_command command, std::uint64_t address,
                          std::uint8_t* data, std::size_t size, sim::Duration& delay) {
    tlm::tlm_generic_payload payload;
    fill(payload, command, address, data, size);
    sc_core::sc_time annotated = to_sc_time(delay);
    auto& socket = space == Space::memory ? memory : io;
    socket->b_transport(payload, annotated);
    delay = from_sc_time(annotated);
    if (payload.is_response_ok()) return true;
    ++refused_;
    return false;
}

std::uint64_t BusMaster::read(Space space, std::uint64_t address, unsigned size,
                              sim::Duration& delay) {
    SIM_ASSERT(size >= 1 && size <= 8);
    std::uint8_t bytes[8] = {};
    if (!transport(space, tlm::TLM_READ_COMMAND, address, bytes, size, delay))
        std::memset(bytes, 0xff, size);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes, size);
    return value;
}

void BusMaster::write(Space space, std::uint64_t address, unsigned size, std::uint64_t value,
                      sim::Duration& delay) {
    SIM_ASSERT(size >= 1 && size <= 8);
    std::uint8_t bytes[8];
    std::memcpy(bytes, &value, sizeof bytes);
    transport(space, tlm::TLM_WRITE_COMMAND, address, bytes, size, delay);
}

bool BusMaster::read_block(Space space, std::uint64_t address, std::span<std::uint8_t> out,
                           sim::Duration& delay) {
    return out.empty() ||
           transport(space, tlm::TLM_READ_COMMAND, address, out.data(), out.size(), delay);
}

bool BusMaster::write_block(Space space, std::uint64_t address, std::span<const std::uint8_t> in,
                            sim::Duration& delay) {
    // The standard has one pointer for both directions; a target never writes to write data.
    return in.empty() || transport(space, tlm::TLM_WRITE_COMMAND, address,
                                   const_cast<std::uint8_t*>(in.data()), in.size(), delay);
}

std::size_t BusMaster::debug(tlm::tlm_command command, std::uint64_t address, std::uint8_t* data,
                             std::size_t size) {
    tlm::tlm_generic_payload payload;
    std::size_t done = 0;
    while (done < size) {
        fill(payload, command, address + done, data + done, size - done);
        const unsigned moved = memory->transport_dbg(payload);
        if (moved == 0) break;
        done += moved;
    }
    return done;
}

std::size_t BusMaster::read_debug(std::uint64_t address, std::span<std::uint8_t> out) {
    return debug(tlm::TLM_READ_COMMAND, address, out.data(), out.size());
}

std::size_t BusMaster::write_debug(std::uint64_t address, std::span<const std::uint8_t> in) {
    return debug(tlm::TLM_WRITE_COMMAND, address, const_cast<std::uint8_t*>(in.data()), in.size());
}

std::optional<DirectMemory> BusMaster::direct_memory(std::uint64_t address) {
    tlm::tlm_generic_payload payload;
    fill(payload, tlm::TLM_READ_COMMAND, address, nullptr, 0);
    tlm::tlm_dmi dmi;
    if (!memory->get_direct_mem_ptr(payload, dmi) || !dmi.is_read_allowed()) return std::nullopt;
    return DirectMemory{dmi.get_dmi_ptr(),
                        dmi.get_start_address(),
                        dmi.get_end_address(),
                        from_sc_time(dmi.get_read_latency()),
                        from_sc_time(dmi.get_write_latency()),
                        dmi.is_write_allowed()};
}

void BusMaster::invalidate(sc_dt::uint64 first, sc_dt::uint64 last) {
    if (observer_ != nullptr) observer_->direct_memory_invalidated(first, last);
}

}  // namespace hvsim::devices::tlm_shell
