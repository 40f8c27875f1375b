// Ports and connections of a partition (TLFS 11.2).
#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/partition.h"

namespace hvsim::hv {

Port* Partition::port(PortId id) {
    const auto found = ports_.find(id);
    return found == ports_.end() ? nullptr : &found->second;
}

HvStatus Partition::create_port(PortId id, const Port& description) {
    if (!active()) return HvStatus::invalid_partition_state;
    if (id == 0 || id > kIdMask24 || ports_.contains(id)) return HvStatus::invalid_port_id;
    if (description.sint >= kSintCount) return HvStatus::invalid_parameter;
    if (description.vp != kAnyVp && vp(description.vp) == nullptr)
        return HvStatus::invalid_vp_index;
    Port created = description;
    switch (description.type) {
        case PortType::message: {
            const std::optional<std::uint64_t> page = pool_.allocate();
            if (!page) return HvStatus::insufficient_memory;
            created.buffer_page = *page;
            break;
        }
        case PortType::event:
            if (description.flag_count == 0 ||
                description.base_flag + description.flag_count > kEventFlagsPerSint)
                return HvStatus::invalid_parameter;
            if (!pool_.charge(PoolObject::event_port)) return HvStatus::insufficient_memory;
            break;
        case PortType::monitor:
        case PortType::doorbell:
            return HvStatus::invalid_parameter;
    }
    ports_.emplace(id, created);
    return HvStatus::success;
}

HvStatus Partition::delete_port(PortId id) {
    const auto found = ports_.find(id);
    if (found == ports_.end()) return HvStatus::invalid_port_id;
    if (found->second.type == PortType::message) {
        pool_.release(found->second.buffer_page);
        for (VirtualProcessor* vp : vps()) vp->synic().drop_port(id);
    } else {
        pool_.refund(PoolObject::event_port);
    }
    ports_.erase(found);
    return HvStatus::success;
}

HvStatus Partition::connect(ConnectionId id, const Connection& connection) {
    if (!active()) return HvStatus::invalid_partition_state;
    if (id == 0 || id > kIdMask24 || connections_.contains(id))
        return HvStatus::invalid_connection_id;
    if (!pool_.charge(PoolObject::connection)) return HvStatus::insufficient_memory;
    connections_.emplace(id, connection);
    return HvStatus::success;
}

HvStatus Partition::disconnect(ConnectionId id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return HvStatus::invalid_connection_id;
    connections_.erase(found);
    pool_.refund(PoolObject::connection);
    return HvStatus::success;
}

VirtualProcessor* Partition::port_target(const Port& port) {
    if (port.vp != kAnyVp) return vp(port.vp);
    // Any processor: the first that is ready to take it, else the first.
    VirtualProcessor* first = nullptr;
    for (VirtualProcessor* vp : vps()) {
        if (first == nullptr) first = vp;
        if (msr::enabled(vp->synic().scontrol()) &&
            (vp->synic().sint(port.sint) & msr::Sint::kMasked) == 0)
            return vp;
    }
    return first;
}

HvStatus Partition::post_to_port(PortId id, const MessageSlot& message, sim::Time now) {
    Port* target = port(id);
    if (target == nullptr || target->type != PortType::message)
        return HvStatus::invalid_connection_id;
    VirtualProcessor* vp = port_target(*target);
    if (vp == nullptr) return HvStatus::invalid_vp_state;
    if (target->waiting >= kPortMessageBuffers) return HvStatus::insufficient_buffers;
    ++target->waiting;
    ++target->posted;
    MessageSlot with_port = message;
    with_port.sender = id;
    vp->synic().post(target->sint, with_port, id, now);
    return HvStatus::success;
}

HvStatus Partition::signal_port(PortId id, std::uint16_t flag, sim::Time now,
                                ConnectionId connection) {
    Port* target = port(id);
    if (target == nullptr || target->type != PortType::event)
        return HvStatus::invalid_connection_id;
    if (flag >= target->flag_count) return HvStatus::invalid_parameter;
    VirtualProcessor* vp = port_target(*target);
    if (vp == nullptr) return HvStatus::invalid_vp_state;
    ++target->signaled;
    const unsigned number = target->base_flag + flag;
    hypervisor_.recorder().record(sim::EventKind::kSynicEvent, now, vp->subject(), target->sint,
                                  number, connection);
    vp->synic().signal(target->sint, number, now);
    return HvStatus::success;
}

}  // namespace hvsim::hv
