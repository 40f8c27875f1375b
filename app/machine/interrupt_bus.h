#pragma once
// Brings interrupt messages to the local APICs of the host and tells their processors.
#include <functional>
#include <memory>
#include <vector>

#include "apic/interrupt_router.h"
#include "apic/io_apic.h"
#include "devices/interrupt_line.h"
#include "devices/register_device.h"
#include "sim/recorder.h"

namespace hvsim::app {

class InterruptBus final : public apic::InterruptFabric, public apic::EoiSink {
  public:
    explicit InterruptBus(sim::Recorder& recorder, sim::Duration ipi_latency)
        : recorder_(recorder), ipi_latency_(ipi_latency) {}

    void set_apics(std::vector<apic::LocalApic*> apics);
    void add_io_apic(apic::IoApic& io_apic) { io_apics_.push_back(&io_apic); }
    /// Told of every message a local APIC took: processor number and arrival time.
    std::function<void(std::size_t, sim::Time)> on_arrival;

    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time now) override;
    void broadcast_eoi(std::uint8_t vector, sim::Time now) override;

  private:
    sim::Recorder& recorder_;
    sim::Duration ipi_latency_;
    std::unique_ptr<apic::InterruptRouter> router_;
    std::vector<apic::IoApic*> io_apics_;
    std::vector<std::uint32_t> targets_;
};

/// The I/O APIC's registers on the memory bus.
class IoApicWindow final : public devices::RegisterDevice {
  public:
    explicit IoApicWindow(apic::IoApic& io_apic) : io_apic_(io_apic) {}
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time&) override {
        return io_apic_.mmio_read(static_cast<std::uint32_t>(offset), size);
    }
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override {
        io_apic_.mmio_write(static_cast<std::uint32_t>(offset), size, value, now);
    }
    unsigned widest_access() const noexcept override { return 4; }

  private:
    apic::IoApic& io_apic_;
};

/// A wire from a device to a pin of the I/O APIC.
class IoApicPin final : public devices::InterruptLine {
  public:
    IoApicPin(apic::IoApic& io_apic, unsigned pin) : io_apic_(io_apic), pin_(pin) {}
    void set(bool level, sim::Time now) override { io_apic_.set_pin(pin_, level, now); }

  private:
    apic::IoApic& io_apic_;
    unsigned pin_;
};

}  // namespace hvsim::app
