#pragma once
// MC146818A real-time clock and CMOS RAM (devices/spec/mc146818.h) on virtual time.
#include <array>
#include <cstdint>

#include "devices/calendar.h"
#include "devices/interrupt_line.h"
#include "devices/register_device.h"
#include "devices/spec/mc146818.h"
#include "sim/clocked.h"

namespace hvsim::devices {

struct RtcConfig {
    /// The date at virtual time zero, seconds since 1970-01-01 00:00:00. Default: 2024-01-01.
    std::int64_t start = 1704067200;
};

/// Two ports: index (bit 7 is the board's NMI mask, not part of it) and data. The interrupt line is
/// a level that reading register C takes away.
// DEVIATION: daylight saving (B.DSE) and the square wave (B.SQWE) are stored only; the day of the
// week follows from the date; values that are no date are brought into range when the clock starts.
class Rtc final : public RegisterDevice, public sim::Clocked {
  public:
    static constexpr std::uint64_t kIndexPort = 0;
    static constexpr std::uint64_t kDataPort = 1;

    /// `interrupt` is not owned and may be null.
    explicit Rtc(const RtcConfig& config, InterruptLine* interrupt = nullptr);

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 1; }

    /// A byte of CMOS RAM as firmware would have left it; `index` 0x0e to 0x7f but the century.
    void set_cmos(std::uint8_t index, std::uint8_t value);

    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;

  private:
    std::uint8_t read_data(sim::Time now);
    void write_data(std::uint8_t value, sim::Time now);
    void write_a(std::uint8_t value, sim::Time now);
    void write_b(std::uint8_t value, sim::Time now);
    bool is_time(std::uint8_t index) const noexcept;
    bool set_mode() const noexcept;
    bool divider_held() const noexcept;

    std::uint8_t encode(unsigned value) const noexcept;
    unsigned decode(std::uint8_t byte) const noexcept;
    std::uint8_t encode_hour(unsigned hour) const noexcept;
    unsigned decode_hour(std::uint8_t byte) const noexcept;
    void store_time(std::int64_t seconds);
    std::int64_t stored_time() const;

    bool running() const noexcept { return next_update_ != sim::kNever && !set_mode(); }
    std::int64_t seconds_at(sim::Time now) const noexcept;
    sim::Time update_after(sim::Time now) const noexcept;
    void rebase(sim::Time now);
    sim::Time alarm_after(sim::Time now) const noexcept;
    std::uint64_t periodic_hertz() const noexcept;
    sim::Time periodic_after(sim::Time now) const noexcept;
    bool update_in_progress(sim::Time now) const noexcept;
    void settle(sim::Time now);
    void update_interrupt(sim::Time now);

    InterruptLine* interrupt_;
    std::array<std::uint8_t, spec::mc146818::kBytes>
        bytes_{};  ///< A-D, alarms, RAM; time while set
    std::uint8_t index_ = 0;
    bool line_level_ = false;

    // The clock shows seconds_ until next_update_, then one more each second.
    std::int64_t seconds_;
    sim::Time next_update_ = sim::kSecond;  ///< kNever: the divider chain is held
    sim::Time divider_start_ = 0;           ///< periodic ticks count from here
    sim::Time settled_ = 0;                 ///< flags are those of this time
    sim::Time read_ = 0;                    ///< the latest time given out
};

}  // namespace hvsim::devices
