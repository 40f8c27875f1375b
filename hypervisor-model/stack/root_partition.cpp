#include "hypervisor-model/stack/root_partition.h"

#include <bit>

#include "hypervisor-model/spec/msr.h"
#include "sim/error.h"

namespace hvsim::hv::stack {
namespace {

constexpr std::uint32_t kApicBase = 0x1b, kX2ApicSvr = 0x80f;
constexpr unsigned kSints[] = {kInterceptSint, kMessageSint, kEventSint};

}  // namespace

// --- one virtual processor ---

// Pages: hypercall code, input, output, messages (SIMP), event flags (SIEFP).
RootVp::RootVp(RootPartition& root, cpu::NativeCore& core, VpIndex index, std::uint64_t pages)
    : root_(root),
      core_(core),
      index_(index),
      pages_(pages),
      winhv_(core, pages + sim::kPageSize, pages + 2 * sim::kPageSize) {
    core.set_program(this);
    winhv_.set_depositor(&root.memory());
}

void RootVp::start() {
    started_ = true;
    if (index_ == 0) winhv_.enable(pages_);
    const std::uint64_t base = core_.read_msr(kApicBase).value_or(0);
    bool done = core_.write_msr(kApicBase, base | 0xc00);  // x2APIC mode
    done = core_.write_msr(kX2ApicSvr, 0x1ff) && done;
    done = core_.write_msr(msr::kSimp, (pages_ + 3 * sim::kPageSize) | msr::kEnable) && done;
    done = core_.write_msr(msr::kSiefp, (pages_ + 4 * sim::kPageSize) | msr::kEnable) && done;
    for (const unsigned sint : kSints)
        done =
            core_.write_msr(msr::kSint0 + sint, (kSintVectorBase + sint) | msr::Sint::kAutoEoi) &&
            done;
    done = core_.write_msr(msr::kScontrol, 1) && done;
    SIM_ASSERT(done);
}

void RootVp::set_timer(sim::Duration delay) {
    constexpr sim::Duration kUnit = 100 * sim::kNanosecond;
    const std::uint64_t reference = core_.read_msr(msr::kTimeRefCount).value_or(0);
    bool done = core_.write_msr(
        msr::kStimer0Config,
        msr::StimerConfig::ApicVector::set(
            msr::StimerConfig::kDirect | msr::StimerConfig::kAutoEnable, kRootTimerVector));
    done = core_.write_msr(msr::kStimer0Count, reference + delay / kUnit) && done;
    SIM_ASSERT(done);
}

sim::Duration RootVp::interrupt(cpu::NativeCore& core, std::uint8_t vector, sim::Time) {
    if (vector == kSintVectorBase + kInterceptSint || vector == kSintVectorBase + kMessageSint) {
        messages_ = true;
    } else if (vector == kSintVectorBase + kEventSint) {
        events_ = true;
    } else {
        // Device interrupts are no SINT's: they end by the EOI MSR.
        if (vector != kNoticeVector) root_.device_interrupts_.push_back(vector);
        core.write_msr(msr::kEoi, 0);
    }
    return root_.timing().root_interrupt;
}

/// Empties one slot of the message page by the guest's side of the protocol (TLFS 11.8.1).
bool RootVp::take_message(unsigned sint) {
    const std::uint64_t slot = pages_ + 3 * sim::kPageSize + sint * kMessageSize;
    std::array<std::uint8_t, kMessageSize> bytes{};
    SIM_ASSERT(core_.read_memory(slot, bytes));
    const auto message = std::bit_cast<MessageSlot>(bytes);
    if (message.type == 0) return false;
    constexpr std::array<std::uint8_t, 4> kEmpty{};
    SIM_ASSERT(core_.write_memory(slot, kEmpty));
    if (message.flags & kMessagePending) core_.write_msr(msr::kEom, 0);
    root_.on_message(*this, sint, message);
    return true;
}

bool RootVp::take_events() {
    const std::uint64_t area = pages_ + 4 * sim::kPageSize + kEventSint * kEventFlagsBytes;
    std::array<std::uint8_t, kEventFlagsBytes> bytes{};
    SIM_ASSERT(core_.read_memory(area, bytes));
    constexpr std::array<std::uint8_t, kEventFlagsBytes> kNone{};
    if (bytes == kNone) return false;
    SIM_ASSERT(core_.write_memory(area, kNone));
    for (unsigned i = 0; i < kEventFlagsBytes; ++i)
        for (unsigned bits = bytes[i]; bits != 0; bits &= bits - 1)
            root_.on_event(*this, static_cast<std::uint16_t>(
                                      i * 8 + static_cast<unsigned>(std::countr_zero(bits))));
    return true;
}

cpu::NativeStep RootVp::step(cpu::NativeCore&, sim::Time) {
    using End = cpu::NativeStep::End;
    if (!started_) {
        start();
        return {End::more, 0};
    }
    if (messages_) {
        const bool intercept = take_message(kInterceptSint);
        const bool message = take_message(kMessageSint);
        messages_ = intercept || message;
        return {End::more, 0};
    }
    if (events_) {
        events_ = take_events();
        return {End::more, 0};
    }
    if (index_ == 0 && root_.on_work(*this)) return {End::more, 0};
    return {End::idle, 0};
}

// --- the partition ---

void RootPartition::add_vp(cpu::NativeCore& core) {
    const auto index = static_cast<VpIndex>(vps_.size());
    const std::uint64_t pages = memory_.allocate(RootVp::kPages * sim::kPageSize);
    vps_.push_back(std::make_unique<RootVp>(*this, core, index, pages));
}

void RootPartition::on_message(RootVp& vp, unsigned sint, const MessageSlot& message) {
    if (sint == kInterceptSint) {
        vp.winhv().core().charge(timing_.root_intercept);
        const auto found = intercept_clients_.find(message.sender);
        if (found != intercept_clients_.end()) found->second->on_intercept(vp, message);
        return;
    }
    const auto port = ports_.find(static_cast<PortId>(message.sender) & kIdMask24);
    if (port == ports_.end() || message.payload_size > kMessagePayloadMax) return;
    port->second.client->on_message(vp, port->second.connection, message.type,
                                    std::span(message.payload).first(message.payload_size));
}

void RootPartition::on_event(RootVp& vp, std::uint16_t flag) {
    const auto found = flags_.find(flag);
    if (found == flags_.end()) return;  // the port is gone
    const Endpoint& endpoint = ports_.at(found->second);
    endpoint.client->on_signal(vp, endpoint.connection);
}

bool RootPartition::on_work(RootVp& vp) {
    if (!device_interrupts_.empty()) {
        const std::uint8_t vector = device_interrupts_.front();
        device_interrupts_.pop_front();
        const auto found = device_handlers_.find(vector);
        if (found != device_handlers_.end()) found->second(vp);
        return true;
    }
    for (PartitionClient* client : clients_)
        if (client->on_work(vp)) return true;
    return false;
}

HvStatus RootPartition::create_root_port(WinHv& winhv, const PortInfo& info,
                                         const Endpoint& endpoint) {
    const PortId port = next_port_++;
    HvStatus status = winhv.create_port(kSelfPartition, port, endpoint.from, info);
    SIM_ASSERT(status == HvStatus::success);
    status =
        winhv.connect_port(endpoint.from, endpoint.connection, kSelfPartition, port, endpoint.type);
    if (status == HvStatus::success)
        ports_[port] = endpoint;
    else
        winhv.delete_port(kSelfPartition, port);
    return status;
}

HvStatus RootPartition::create_message_port(WinHv& winhv, PartitionId from, ConnectionId connection,
                                            PortClient& client) {
    PortInfo info;
    info.type = static_cast<std::uint32_t>(PortType::message);
    info.target_sint = kMessageSint;
    return create_root_port(winhv, info, {PortType::message, from, connection, &client, 0});
}

HvStatus RootPartition::create_event_port(WinHv& winhv, PartitionId from, ConnectionId connection,
                                          PortClient& client) {
    std::uint16_t flag = 0;
    while (flags_.contains(flag)) ++flag;
    if (flag >= kEventFlagsPerSint) return HvStatus::insufficient_buffers;
    PortInfo info;
    info.type = static_cast<std::uint32_t>(PortType::event);
    info.target_sint = kEventSint;
    info.base_flag_number = flag;
    info.flag_count = 1;
    const PortId port = next_port_;
    const HvStatus status =
        create_root_port(winhv, info, {PortType::event, from, connection, &client, flag});
    if (status == HvStatus::success) flags_[flag] = port;
    return status;
}

void RootPartition::delete_port(WinHv& winhv, PartitionId from, ConnectionId connection) {
    for (auto it = ports_.begin(); it != ports_.end(); ++it) {
        if (it->second.from != from || it->second.connection != connection) continue;
        winhv.disconnect_port(from, connection);
        winhv.delete_port(kSelfPartition, it->first);
        if (it->second.type == PortType::event) flags_.erase(it->second.flag);
        ports_.erase(it);
        return;
    }
}

ConnectionId RootPartition::connect_to_child(WinHv& winhv, PartitionId child, PortType type,
                                             VpIndex vp, unsigned sint) {
    const PortId port = ++next_child_port_[child];
    PortInfo info;
    info.type = static_cast<std::uint32_t>(type);
    info.target_sint = sint;
    info.target_vp = vp;
    if (type == PortType::event) info.flag_count = kEventFlagsPerSint;
    HvStatus status = winhv.create_port(child, port, kSelfPartition, info);
    SIM_ASSERT(status == HvStatus::success);
    const ConnectionId connection = next_connection_++;
    status = winhv.connect_port(kSelfPartition, connection, child, port, type);
    SIM_ASSERT(status == HvStatus::success);
    return connection;
}

}  // namespace hvsim::hv::stack
