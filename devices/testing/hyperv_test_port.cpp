#include "devices/testing/hyperv_test_port.h"

namespace hvsim::devices {
namespace {

enum class Command : std::uint8_t {
    create_route = 1,
    destroy_route = 2,
    raise = 3,
    create_message_connection = 4,
    destroy_message_connection = 5,
    create_event_connection = 6,
    destroy_event_connection = 7,
};

constexpr std::uint8_t byte_of(std::uint32_t value, unsigned index) {
    return static_cast<std::uint8_t>(value >> (8 * index));
}

}  // namespace

void HypervTestPort::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                    sim::Time now) {
    if (offset != 0 || size != 4 || !perform(static_cast<std::uint32_t>(value), now)) ++ignored_;
}

bool HypervTestPort::perform(std::uint32_t value, sim::Time now) {
    if (control_ == nullptr) return false;
    const std::uint8_t sint = byte_of(value, 0), vp = byte_of(value, 1),
                       connection = byte_of(value, 3);
    switch (static_cast<Command>(byte_of(value, 2))) {
        case Command::create_route:
            control_->create_route(vp, sint, now);
            return true;
        case Command::destroy_route:
            control_->destroy_route(vp, sint, now);
            return true;
        case Command::raise:
            control_->raise(vp, sint, now);
            return true;
        case Command::create_message_connection:
            control_->create_message_connection(connection, vp, sint, now);
            return true;
        case Command::destroy_message_connection:
            control_->destroy_message_connection(connection, now);
            return true;
        case Command::create_event_connection:
            control_->create_event_connection(connection, vp, sint, now);
            return true;
        case Command::destroy_event_connection:
            control_->destroy_event_connection(connection, now);
            return true;
    }
    return false;
}

}  // namespace hvsim::devices
