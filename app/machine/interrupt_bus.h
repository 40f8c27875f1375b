#pragma once
// Brings interrupt messages to the local APICs of the host and tells their processors.
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "apic/interrupt_router.h"
#include "apic/io_apic.h"
#include "devices/interrupt_line.h"
#include "devices/register_device.h"
#include "sim/clocked.h"
#include "sim/recorder.h"

namespace hvsim::app {

/// How long a message is under way, by who sent it.
struct InterruptLatencies {
    sim::Duration ipi = 0;
    sim::Duration msi = 0;  ///< of a device or I/O APIC
};

/// A message is under way from the time at which it is sent (annotated delay included) until it
/// arrives; before that no local APIC knows of it. Messages arrive in the order of their times,
/// those of one time in the order in which they were sent. What a processor sends to itself alone
/// never leaves its local APIC and is there at once.
class InterruptBus final : public apic::InterruptFabric, public apic::EoiSink, public sim::Clocked {
  public:
    InterruptBus(sim::Recorder& recorder, const InterruptLatencies& latencies)
        : recorder_(recorder), latencies_(latencies) {}

    void set_apics(std::vector<apic::LocalApic*> apics);
    void add_io_apic(apic::IoApic& io_apic) { io_apics_.push_back(&io_apic); }
    /// Told of every message that sets out: next_deadline() may be earlier than before.
    std::function<void()> on_departure;
    /// Told of every message a local APIC took: processor number and arrival time.
    std::function<void(std::size_t, sim::Time)> on_arrival;

    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time now) override;
    void broadcast_eoi(std::uint8_t vector, sim::Time now) override;

    sim::Time next_deadline() const noexcept override {
        return under_way_.empty() ? sim::kNever : under_way_.begin()->first.first;
    }
    void advance_to(sim::Time now) override;

  private:
    struct Message {
        apic::InterruptMessage message;
        apic::InterruptSource source;
    };
    using Arrival = std::pair<sim::Time, std::uint64_t>;  // then order of sending
    void arrive(const Message& message, sim::Time at);
    bool is_to_itself(const apic::InterruptMessage& message, apic::InterruptSource source);

    sim::Recorder& recorder_;
    InterruptLatencies latencies_;
    std::unique_ptr<apic::InterruptRouter> router_;
    std::vector<apic::IoApic*> io_apics_;
    std::map<Arrival, Message> under_way_;
    std::uint64_t sent_ = 0;
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
    void set(bool level, sim::Time now) override {
        io_apic_.set_pin(pin_, level, now);
        if (branch_ != nullptr) branch_->set(level, now);
    }
    /// The wire goes to another controller too. Not owned.
    void set_branch(devices::InterruptLine* branch) noexcept { branch_ = branch; }
    unsigned pin() const noexcept { return pin_; }

  private:
    apic::IoApic& io_apic_;
    unsigned pin_;
    devices::InterruptLine* branch_ = nullptr;
};

/// The I/O APIC's messages on their way to the local APICs: they are no DMA, but interrupt
/// remapping concerns them as well (VT-d 5.1.5.1).
class MsiRoute final : public apic::MsiSink {
  public:
    explicit MsiRoute(apic::MsiSink& sink) : sink_(&sink) {}
    /// From now on they go to `sink`, which takes `lookup` for each.
    void set_sink(apic::MsiSink& sink, sim::Duration lookup = 0) noexcept {
        sink_ = &sink;
        lookup_ = lookup;
    }
    void write_msi(apic::MsiMessage message, apic::InterruptSource source, sim::Time now) override {
        sink_->write_msi(message, source, now + lookup_);
    }

  private:
    apic::MsiSink* sink_;
    sim::Duration lookup_ = 0;
};

}  // namespace hvsim::app
