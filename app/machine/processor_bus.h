#pragma once
// A processor's accesses to devices, as transactions of its initiator sockets.
#include <functional>

#include "cpu/bus.h"
#include "devices/tlm/bus_master.h"
#include "devices/tlm/time_bridge.h"

#include "app/machine/dispatcher.h"

namespace hvsim::app {

class ProcessorBus final : public cpu::Bus {
  public:
    ProcessorBus(devices::tlm_shell::BusMaster& master, const devices::tlm_shell::TimeBase& time,
                 Dispatcher& dispatcher)
        : master_(master), time_(time), dispatcher_(dispatcher) {}

    /// Who answers the processor's interrupt acknowledge cycles; empty: nobody.
    std::function<std::uint8_t(sim::Time)> on_acknowledge;

    std::uint8_t acknowledge_interrupt(sim::Time now) override {
        const std::uint8_t vector = on_acknowledge ? on_acknowledge(now) : 0xff;
        dispatcher_.reconsider();
        return vector;
    }
    std::uint64_t read_memory(std::uint64_t address, unsigned size, sim::Time now,
                              sim::Duration& delay) override {
        return read(devices::tlm_shell::Space::memory, address, size, now, delay);
    }
    void write_memory(std::uint64_t address, unsigned size, std::uint64_t value, sim::Time now,
                      sim::Duration& delay) override {
        write(devices::tlm_shell::Space::memory, address, size, value, now, delay);
    }
    std::uint32_t read_io(std::uint16_t port, unsigned size, sim::Time now,
                          sim::Duration& delay) override {
        return static_cast<std::uint32_t>(
            read(devices::tlm_shell::Space::io, port, size, now, delay));
    }
    void write_io(std::uint16_t port, unsigned size, std::uint32_t value, sim::Time now,
                  sim::Duration& delay) override {
        write(devices::tlm_shell::Space::io, port, size, value, now, delay);
    }

  private:
    /// A transaction's delay counts from SystemC's time, the processor's from its own.
    sim::Duration ahead(sim::Time now) const {
        return devices::tlm_shell::from_sc_time(time_.delay_until(now));
    }
    std::uint64_t read(devices::tlm_shell::Space space, std::uint64_t address, unsigned size,
                       sim::Time now, sim::Duration& delay) {
        sim::Duration annotated = ahead(now + delay);
        const sim::Duration before = annotated;
        const std::uint64_t value = master_.read(space, address, size, annotated);
        delay += annotated - before;
        dispatcher_.reconsider();
        return value;
    }
    void write(devices::tlm_shell::Space space, std::uint64_t address, unsigned size,
               std::uint64_t value, sim::Time now, sim::Duration& delay) {
        sim::Duration annotated = ahead(now + delay);
        const sim::Duration before = annotated;
        master_.write(space, address, size, value, annotated);
        delay += annotated - before;
        dispatcher_.reconsider();
    }

    devices::tlm_shell::BusMaster& master_;
    const devices::tlm_shell::TimeBase& time_;
    Dispatcher& dispatcher_;
};

}  // namespace hvsim::app
