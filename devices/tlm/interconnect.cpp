#include "devices/tlm/interconnect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "devices/tlm/time_bridge.h"
#include "sim/error.h"

namespace hvsim::devices::tlm_shell {

Interconnect::Interconnect(const sc_core::sc_module_name& name, std::string label,
                           Unmapped unmapped)
    : sc_module(name), label_(std::move(label)), unmapped_(unmapped) {
    initiators.register_b_transport(this, &Interconnect::b_transport);
    initiators.register_transport_dbg(this, &Interconnect::transport_dbg);
    initiators.register_get_direct_mem_ptr(this, &Interconnect::get_direct_mem_ptr);
    targets_.register_invalidate_direct_mem_ptr(this, &Interconnect::invalidate_direct_mem_ptr);
}

void Interconnect::check(const Mapping& mapping) const {
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - mapping.base;
    if (mapping.size == 0 || mapping.size - 1 > room)
        throw sim::ConfigError(
            fmt::format("{}: '{}' at {:#x} has an impossible size of {:#x} bytes", label_,
                        mapping.name, mapping.base, mapping.size),
            "a range has at least one byte and ends within the address space");
    const std::uint64_t last = mapping.base + (mapping.size - 1);
    for (const auto& [base, entry] : entries_) {
        if (base > last || entry.last() < mapping.base) continue;
        throw sim::ConfigError(
            fmt::format("{}: '{}' at {:#x}-{:#x} overlaps '{}' at {:#x}-{:#x}", label_,
                        mapping.name, mapping.base, last, entry.mapping.name, base, entry.last()),
            "move one of the two");
    }
}

void Interconnect::map(const Mapping& mapping, TargetSocket& target) {
    check(mapping);
    auto known = std::find(bound_.begin(), bound_.end(), &target);
    const auto index = static_cast<int>(known - bound_.begin());
    if (known == bound_.end()) {
        bound_.push_back(&target);
        targets_.bind(target);
    }
    entries_.emplace(mapping.base, Entry{mapping, index});
}

std::vector<Mapping> Interconnect::mappings() const {
    std::vector<Mapping> list;
    for (const auto& [base, entry] : entries_) list.push_back(entry.mapping);
    return list;
}

Interconnect::Decoded Interconnect::decode(std::uint64_t address) const {
    auto next = entries_.upper_bound(address);
    const std::uint64_t hole_last =
        next == entries_.end() ? std::numeric_limits<std::uint64_t>::max() : next->first - 1;
    if (next == entries_.begin()) return {nullptr, 0, hole_last};
    const Entry& below = std::prev(next)->second;
    if (address <= below.last()) return {&below, below.mapping.base, below.last()};
    return {nullptr, below.last() + 1, hole_last};
}

void Interconnect::b_transport(int, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    const std::uint64_t address = payload.get_address();
    const std::uint64_t length = payload.get_data_length();
    (payload.is_write() ? writes_ : reads_) += 1;
    const Decoded decoded = decode(address);
    if (length != 0 && length - 1 > decoded.last - address)
        split(payload, delay);
    else if (decoded.entry != nullptr)
        forward(*decoded.entry, payload, delay);
    else
        answer_unmapped(payload);
}

void Interconnect::forward(const Entry& entry, tlm::tlm_generic_payload& payload,
                           sc_core::sc_time& delay) {
    const std::uint64_t address = payload.get_address();
    payload.set_address(address - entry.mapping.base + entry.mapping.target_offset);
    delay += to_sc_time(entry.mapping.latency);
    targets_[entry.target]->b_transport(payload, delay);
    payload.set_address(address);
}

void Interconnect::answer_unmapped(tlm::tlm_generic_payload& payload) {
    (payload.is_write() ? unmapped_writes_ : unmapped_reads_) += 1;
    payload.set_dmi_allowed(false);
    if (unmapped_ == Unmapped::error) {
        payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
        return;
    }
    if (payload.is_read()) std::memset(payload.get_data_ptr(), 0xff, payload.get_data_length());
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

// Byte enables and streaming have no meaning across two targets.
void Interconnect::split(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    const std::uint64_t address = payload.get_address();
    std::uint8_t* const data = payload.get_data_ptr();
    const unsigned length = payload.get_data_length();
    if (payload.get_byte_enable_ptr() != nullptr || payload.get_streaming_width() < length ||
        length - 1 > std::numeric_limits<std::uint64_t>::max() - address) {
        payload.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
        return;
    }
    tlm::tlm_response_status status = tlm::TLM_OK_RESPONSE;
    tlm::tlm_generic_payload part;
    part.set_command(payload.get_command());
    for (unsigned done = 0; done < length;) {
        const Decoded decoded = decode(address + done);
        const auto bytes = static_cast<unsigned>(
            std::min<std::uint64_t>(length - done - 1, decoded.last - (address + done)) + 1);
        part.set_address(address + done);
        part.set_data_ptr(data + done);
        part.set_data_length(bytes);
        part.set_streaming_width(bytes);
        part.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        if (decoded.entry != nullptr)
            forward(*decoded.entry, part, delay);
        else
            answer_unmapped(part);
        if (part.is_response_error()) status = part.get_response_status();
        done += bytes;
    }
    payload.set_dmi_allowed(false);
    payload.set_response_status(status);
}

unsigned Interconnect::transport_dbg(int, tlm::tlm_generic_payload& payload) {
    const std::uint64_t address = payload.get_address();
    const Decoded decoded = decode(address);
    if (decoded.entry == nullptr) return 0;
    const unsigned length = payload.get_data_length();
    const std::uint64_t room = decoded.last - address;
    if (length != 0 && length - 1 > room)  // as much as there is, which the standard allows
        payload.set_data_length(static_cast<unsigned>(room + 1));
    const Mapping& mapping = decoded.entry->mapping;
    payload.set_address(address - mapping.base + mapping.target_offset);
    const unsigned moved = targets_[decoded.entry->target]->transport_dbg(payload);
    payload.set_address(address);
    payload.set_data_length(length);
    return moved;
}

bool Interconnect::get_direct_mem_ptr(int, tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi) {
    const std::uint64_t address = payload.get_address();
    const Decoded decoded = decode(address);
    if (decoded.entry == nullptr) {
        dmi.set_start_address(decoded.first);
        dmi.set_end_address(decoded.last);
        dmi.allow_none();
        return false;
    }
    const Mapping& mapping = decoded.entry->mapping;
    payload.set_address(address - mapping.base + mapping.target_offset);
    const bool granted = targets_[decoded.entry->target]->get_direct_mem_ptr(payload, dmi);
    payload.set_address(address);

    // The target's region, cut to this mapping and moved to where the initiator sees it.
    const std::uint64_t target_last = mapping.target_offset + (mapping.size - 1);
    const std::uint64_t first =
        std::max<std::uint64_t>(dmi.get_start_address(), mapping.target_offset);
    const std::uint64_t last = std::min<std::uint64_t>(dmi.get_end_address(), target_last);
    if (granted) dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (first - dmi.get_start_address()));
    dmi.set_start_address(first - mapping.target_offset + mapping.base);
    dmi.set_end_address(last - mapping.target_offset + mapping.base);
    const sc_core::sc_time latency = to_sc_time(mapping.latency);
    dmi.set_read_latency(dmi.get_read_latency() + latency);
    dmi.set_write_latency(dmi.get_write_latency() + latency);
    return granted;
}

void Interconnect::invalidate_direct_mem_ptr(int target, sc_dt::uint64 first, sc_dt::uint64 last) {
    for (const auto& [base, entry] : entries_) {
        if (entry.target != target) continue;
        const std::uint64_t offset = entry.mapping.target_offset;
        const std::uint64_t from = std::max<std::uint64_t>(first, offset);
        const std::uint64_t to = std::min<std::uint64_t>(last, offset + (entry.mapping.size - 1));
        if (from > to) continue;
        for (unsigned i = 0; i < initiators.size(); ++i)
            initiators[static_cast<int>(i)]->invalidate_direct_mem_ptr(from - offset + base,
                                                                       to - offset + base);
    }
}

void Interconnect::collect(sim::StatisticsSink& sink) const {
    sink.add(label_ + ".reads", reads_, "count", "read transactions");
    sink.add(label_ + ".writes", writes_, "count", "write transactions");
    sink.add(label_ + ".unmapped_reads", unmapped_reads_, "count", "reads where nothing is mapped");
    sink.add(label_ + ".unmapped_writes", unmapped_writes_, "count",
             "writes where nothing is mapped");
}

}  // namespace hvsim::devices::tlm_shell
