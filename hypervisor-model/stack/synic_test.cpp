#include "hypervisor-model/stack/synic_test.h"

namespace hvsim::hv::stack {

void SynicTest::count(HvStatus status, std::uint64_t& good) {
    ++(status == HvStatus::success ? good : counters_.refused);
}

void SynicTest::create_route(std::uint8_t vp, std::uint8_t sint, sim::Time) {
    if (sint >= kSintCount || !routes_.emplace(Route{vp, sint}, 0).second) ++counters_.refused;
}

void SynicTest::destroy_route(std::uint8_t vp, std::uint8_t sint, sim::Time) {
    if (routes_.erase({vp, sint}) == 0) ++counters_.refused;
}

void SynicTest::raise(std::uint8_t vp, std::uint8_t sint, sim::Time) {
    const auto route = routes_.find({vp, sint});
    if (route == routes_.end()) {
        ++counters_.refused;
        return;
    }
    const std::uint16_t flag = route->second;
    route->second = static_cast<std::uint16_t>((flag + 1) % kEventFlagsPerSint);
    count(vp_->winhv().signal_event_direct(partition_, vp, sint, flag), counters_.raised);
}

void SynicTest::create(std::uint8_t connection, PortType type, Route route) {
    if (connections_.contains(connection)) {
        ++counters_.refused;
        return;
    }
    const HvStatus status =
        type == PortType::message
            ? root_.create_message_port(vp_->winhv(), partition_, connection, *this)
            : root_.create_event_port(vp_->winhv(), partition_, connection, *this);
    if (status == HvStatus::success)
        connections_.emplace(connection, Connection{type, route});
    else
        ++counters_.refused;
}

void SynicTest::destroy(std::uint8_t connection, PortType type) {
    const auto found = connections_.find(connection);
    if (found == connections_.end() || found->second.type != type) {
        ++counters_.refused;
        return;
    }
    root_.delete_port(vp_->winhv(), partition_, connection);
    connections_.erase(found);
}

void SynicTest::create_message_connection(std::uint8_t connection, std::uint8_t vp,
                                          std::uint8_t sint, sim::Time) {
    create(connection, PortType::message, {vp, sint});
}

void SynicTest::destroy_message_connection(std::uint8_t connection, sim::Time) {
    destroy(connection, PortType::message);
}

void SynicTest::create_event_connection(std::uint8_t connection, std::uint8_t vp, std::uint8_t sint,
                                        sim::Time) {
    create(connection, PortType::event, {vp, sint});
}

void SynicTest::destroy_event_connection(std::uint8_t connection, sim::Time) {
    destroy(connection, PortType::event);
}

void SynicTest::on_message(RootVp& vp, std::uint32_t connection, std::uint32_t type,
                           std::span<const std::uint8_t> payload) {
    const auto found = connections_.find(connection);
    if (found == connections_.end()) return;
    const auto [target, sint] = found->second.route;
    count(vp.winhv().post_message_direct(partition_, target, sint, type, payload),
          counters_.echoed);
}

/// The flag that comes back has the connection's number.
void SynicTest::on_signal(RootVp& vp, std::uint32_t connection) {
    const auto found = connections_.find(connection);
    if (found == connections_.end()) return;
    const auto [target, sint] = found->second.route;
    count(vp.winhv().signal_event_direct(partition_, target, sint,
                                         static_cast<std::uint16_t>(connection)),
          counters_.echoed);
}

}  // namespace hvsim::hv::stack
