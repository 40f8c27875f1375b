#pragma once
// NS16550A serial port (devices/spec/ns16550.h): the host's and, in a worker process, a guest's
// COM1.
#include <array>
#include <cstdint>
#include <deque>
#include <span>

#include "devices/interrupt_line.h"
#include "devices/register_device.h"
#include "sim/clocked.h"
#include "sim/recorder.h"
#include "sim/statistics.h"

namespace hvsim::devices {

/// Where the characters go: a console, a file, a test.
class CharacterSink {
  public:
    virtual ~CharacterSink() = default;
    virtual void put(std::uint8_t byte, sim::Time now) = 0;
};

// DEVIATION: the divisor latch is stored but sets no speed; these times do.
struct UartConfig {
    /// Time on the line per character sent; 0 = sent within the write.
    sim::Duration transmit_time = 0;
    /// Time between characters received; 0 = as fast as the receiver has room.
    sim::Duration receive_time = 0;
    /// Whose events kConsole and kConsoleInput are.
    sim::Subject subject;
};

/// The serial port. Times of accesses may go back by up to a quantum between processors: what is
/// due at an earlier time has then simply happened.
class Uart16550 final : public RegisterDevice, public sim::Clocked, public sim::StatisticsSource {
  public:
    static constexpr std::size_t kFifoDepth = 16;

    /// Nothing is owned; each of the pointers may be null.
    Uart16550(const UartConfig& config, CharacterSink* sink, InterruptLine* interrupt,
              sim::Recorder* recorder);

    /// The register at `offset` modulo 8 (the part decodes three address lines).
    std::uint8_t read(std::uint64_t offset, sim::Time now);
    void write(std::uint64_t offset, std::uint8_t value, sim::Time now);

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 1; }

    /// Puts characters on the receive line from `now` on. The other end waits while the receiver
    /// has no room (hardware flow control), so nothing is lost however slow the driver is.
    void queue_input(std::span<const std::uint8_t> bytes, sim::Time now);
    /// Characters queued that have not yet entered the receiver.
    std::size_t input_waiting() const noexcept { return input_.size(); }

    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;
    void collect(sim::StatisticsSink& sink) const override;

  private:
    /// A FIFO of 16 characters, or the one holding register when FIFOs are off.
    struct Fifo {
        std::array<std::uint8_t, kFifoDepth> bytes{};
        std::uint8_t head = 0;
        std::uint8_t count = 0;
        void push(std::uint8_t byte) noexcept;
        std::uint8_t pop() noexcept;
        void clear() noexcept { head = count = 0; }
    };

    bool dlab() const noexcept;
    bool loopback() const noexcept;
    std::size_t depth() const noexcept { return fifo_enabled_ ? kFifoDepth : 1; }
    std::uint8_t modem_lines() const noexcept;
    std::uint8_t line_status() const noexcept;
    std::uint8_t pending_interrupt() const noexcept;
    std::uint8_t read_received(sim::Time now);
    std::uint8_t read_interrupt_identification();
    void write_transmit(std::uint8_t value, sim::Time now);
    void write_fifo_control(std::uint8_t value);
    void write_modem_control(std::uint8_t value);
    void start_shifting(sim::Time now);
    void finish_character(std::uint8_t byte, sim::Time now);
    void receive(std::uint8_t byte, sim::Time now);
    void accept_input();
    void resume_input(sim::Time now);
    bool can_accept_input() const noexcept;
    void settle(sim::Time now);
    void update_interrupt(sim::Time now);

    UartConfig config_;
    CharacterSink* sink_;
    InterruptLine* interrupt_;
    sim::Recorder* recorder_;

    std::uint8_t ier_ = 0;
    std::uint8_t lcr_ = 0;
    std::uint8_t mcr_ = 0;
    std::uint8_t scr_ = 0;
    std::uint8_t dll_ = 0;
    std::uint8_t dlm_ = 0;
    std::uint8_t modem_deltas_ = 0;
    std::uint8_t trigger_level_ = 1;
    bool fifo_enabled_ = false;
    bool overrun_ = false;
    bool transmitter_empty_pending_ = false;
    bool timeout_pending_ = false;
    bool line_level_ = false;

    Fifo receiver_;
    Fifo transmitter_;
    std::uint8_t shifting_ = 0;           ///< the character in the shift register
    sim::Time shift_end_ = sim::kNever;   ///< when it has been sent; kNever = idle
    sim::Time timeout_at_ = sim::kNever;  ///< character timeout (8.4.1)
    sim::Time next_input_ = 0;            ///< the line is free for a received character from then
    std::deque<std::uint8_t> input_;

    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t transmit_overruns_ = 0;
};

}  // namespace hvsim::devices
