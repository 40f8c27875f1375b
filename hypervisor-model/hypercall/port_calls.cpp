// Ports, connections, messages and events (TLFS 11, 18).
#include <algorithm>
#include <cstring>

#include "hypervisor-model/hypercall/handlers.h"

namespace hvsim::hv::handlers {
namespace {

constexpr std::size_t kDirectMessageBuffers = 16;

HvStatus find_connection(Call& call, u32 id, PortType type, Connection& connection,
                         Partition*& receiver) {
    const auto& connections = call.partition.connections();
    const auto found = connections.find(id);
    if (found == connections.end() || found->second.type != type)
        return HvStatus::invalid_connection_id;
    connection = found->second;
    receiver = call.hypervisor.find(connection.port_partition);
    return receiver != nullptr && receiver->active() ? HvStatus::success
                                                     : HvStatus::invalid_connection_id;
}

}  // namespace

HvStatus create_port(Call& call, const hc::CreatePort& in) {
    Partition* owner = nullptr;
    Partition* sender = nullptr;
    if (const HvStatus status = target_partition(call, in.port_partition, Self::yes, owner);
        status != HvStatus::success)
        return status;
    if (const HvStatus status = target_partition(call, in.connection_partition, Self::yes, sender);
        status != HvStatus::success)
        return status;
    if (in.vtl != 0 || in.minimum_vtl != 0) return HvStatus::invalid_parameter;
    Port port;
    port.type = static_cast<PortType>(in.info.type);
    if (port.type != PortType::message && port.type != PortType::event)
        return HvStatus::invalid_parameter;
    port.sint = in.info.target_sint;
    port.vp = in.info.target_vp;
    port.base_flag = in.info.base_flag_number;
    port.flag_count = in.info.flag_count;
    port.connection_partition = sender->id();
    return owner->create_port(in.port, port);
}

HvStatus delete_port(Call& call, const hc::PortOnly& in) {
    Partition* owner = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::yes, owner);
    return status == HvStatus::success ? owner->delete_port(in.id) : status;
}

HvStatus connect_port(Call& call, const hc::ConnectPort& in) {
    Partition* sender = nullptr;
    Partition* owner = nullptr;
    if (const HvStatus status = target_partition(call, in.connection_partition, Self::yes, sender);
        status != HvStatus::success)
        return status;
    if (const HvStatus status = target_partition(call, in.port_partition, Self::yes, owner);
        status != HvStatus::success)
        return status;
    if (in.vtl != 0) return HvStatus::invalid_parameter;
    const Port* port = owner->port(in.port);
    if (port == nullptr || port->connection_partition != sender->id())
        return HvStatus::invalid_port_id;
    if (static_cast<PortType>(in.info.type) != port->type) return HvStatus::invalid_parameter;
    return sender->connect(in.connection, {port->type, owner->id(), in.port});
}

HvStatus disconnect_port(Call& call, const hc::PortOnly& in) {
    Partition* sender = nullptr;
    const HvStatus status = target_partition(call, in.partition, Self::yes, sender);
    return status == HvStatus::success ? sender->disconnect(in.id) : status;
}

HvStatus get_port_property(Call& call, const hc::PortProperty& in, hc::Value64& out) {
    Partition* owner = nullptr;
    if (const HvStatus status = target_partition(call, in.partition, Self::yes, owner);
        status != HvStatus::success)
        return status;
    const Port* port = owner->port(in.port);
    if (port == nullptr) return HvStatus::invalid_port_id;
    switch (in.property) {
        case kPortPropertyPostCount:
            out.value = port->posted;
            return HvStatus::success;
        case kPortPropertySignalCount:
            out.value = port->signaled;
            return HvStatus::success;
        default:
            return HvStatus::unknown_property;
    }
}

HvStatus post_message(Call& call, const hc::PostMessage& in) {
    // Type 0 is an empty slot, types with bit 31 are the hypervisor's own.
    if (in.payload_size > kMessagePayloadMax || in.type == 0 || (in.type & kHypervisorMessage) != 0)
        return HvStatus::invalid_parameter;
    Connection connection;
    Partition* receiver = nullptr;
    if (const HvStatus status =
            find_connection(call, in.connection, PortType::message, connection, receiver);
        status != HvStatus::success)
        return status;
    MessageSlot message;
    message.type = in.type;
    message.payload_size = static_cast<std::uint8_t>(in.payload_size);
    std::copy_n(in.payload.begin(), in.payload_size, message.payload.begin());
    const HvStatus status = receiver->post_to_port(connection.port, message, call.now);
    if (status == HvStatus::success) ++call.partition.counters().messages_posted;
    return status;
}

HvStatus signal_event(Call& call, const hc::SignalEvent& in) {
    Connection connection;
    Partition* receiver = nullptr;
    if (const HvStatus status =
            find_connection(call, in.connection, PortType::event, connection, receiver);
        status != HvStatus::success)
        return status;
    const HvStatus status =
        receiver->signal_port(connection.port, in.flag, call.now, in.connection);
    if (status == HvStatus::success) ++call.partition.counters().events_signaled;
    return status;
}

HvStatus notify_port_ring_empty(Call& call, const hc::PortRingEmpty& in) {
    if (in.sint >= kSintCount) return HvStatus::invalid_parameter;
    call.vp.synic().retry(call.now);
    return HvStatus::success;
}

HvStatus signal_event_direct(Call& call, const hc::SignalEventDirect& in,
                             hc::SignalEventDirectOut& out) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = target_vp(call, in.partition, Self::yes, in.vp, vp);
        status != HvStatus::success)
        return status;
    if (in.vtl != 0 || in.sint >= kSintCount || in.flag >= kEventFlagsPerSint)
        return HvStatus::invalid_parameter;
    call.hypervisor.recorder().record(sim::EventKind::kSynicEvent, call.now, vp->subject(), in.sint,
                                      in.flag, 0);
    const Synic::Signal signal = vp->synic().signal(in.sint, in.flag, call.now);
    out.newly_signaled = signal == Synic::Signal::newly_set ? 1 : 0;
    return HvStatus::success;
}

HvStatus post_message_direct(Call& call, const hc::PostMessageDirect& in) {
    VirtualProcessor* vp = nullptr;
    if (const HvStatus status = target_vp(call, in.partition, Self::yes, in.vp, vp);
        status != HvStatus::success)
        return status;
    MessageSlot message;
    std::memcpy(&message, in.message.data(), sizeof(message));
    if (in.vtl != 0 || in.sint >= kSintCount || message.type == 0 ||
        message.payload_size > kMessagePayloadMax)
        return HvStatus::invalid_parameter;
    if (vp->synic().queued_for(in.sint) >= kDirectMessageBuffers)
        return HvStatus::insufficient_buffers;
    message.flags = 0;
    message.reserved = 0;
    vp->synic().post(in.sint, message, 0, call.now);
    return HvStatus::success;
}

}  // namespace hvsim::hv::handlers
