#pragma once
// The proleptic Gregorian calendar without leap seconds or time zones.
#include <cstdint>

namespace hvsim::devices {

struct CalendarTime {
    std::int64_t year = 1970;
    unsigned month = 1;    ///< 1 to 12
    unsigned day = 1;      ///< 1 to 31
    unsigned hour = 0;     ///< 0 to 23
    unsigned minute = 0;   ///< 0 to 59
    unsigned second = 0;   ///< 0 to 59
    unsigned weekday = 5;  ///< 1 = Sunday to 7
    friend constexpr bool operator==(const CalendarTime&, const CalendarTime&) = default;
};

constexpr bool is_leap_year(std::int64_t year) noexcept {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

constexpr unsigned days_in_month(std::int64_t year, unsigned month) noexcept {
    constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : kDays[month - 1];
}

/// Seconds since 1970-01-01 00:00:00; `time` must be a date that exists (its weekday is not used).
constexpr std::int64_t seconds_of(const CalendarTime& time) noexcept {
    // Days before the year, counted from year 0 so that the rule for leap years is one formula.
    const auto days_before_year = [](std::int64_t year) {
        const std::int64_t last = year - 1;
        const auto floor_div = [](std::int64_t a, std::int64_t b) {
            return a >= 0 ? a / b : -((-a + b - 1) / b);
        };
        return year * 365 + floor_div(last, 4) - floor_div(last, 100) + floor_div(last, 400);
    };
    std::int64_t days = days_before_year(time.year) - days_before_year(1970);
    for (unsigned month = 1; month < time.month; ++month) days += days_in_month(time.year, month);
    days += time.day - 1;
    return ((days * 24 + time.hour) * 60 + time.minute) * 60 + time.second;
}

constexpr CalendarTime calendar_of(std::int64_t seconds) noexcept {
    constexpr std::int64_t kDay = 86400;
    std::int64_t days = seconds / kDay;
    std::int64_t rest = seconds % kDay;
    if (rest < 0) {
        rest += kDay;
        --days;
    }
    CalendarTime time;
    time.hour = static_cast<unsigned>(rest / 3600);
    time.minute = static_cast<unsigned>(rest / 60 % 60);
    time.second = static_cast<unsigned>(rest % 60);
    time.weekday = static_cast<unsigned>(((days + 4) % 7 + 7) % 7 + 1);  // a Thursday is day 0
    // Close from below, then step: never more than a few years.
    time.year = 1970 + days / 366 - (days < 0 ? 1 : 0);
    time.month = time.day = 1;
    const auto first_day = [](std::int64_t year) {
        CalendarTime january;
        january.year = year;
        return seconds_of(january) / kDay;
    };
    while (first_day(time.year) > days) --time.year;
    while (first_day(time.year + 1) <= days) ++time.year;
    std::int64_t left = days - first_day(time.year);
    while (left >= days_in_month(time.year, time.month)) {
        left -= days_in_month(time.year, time.month);
        ++time.month;
    }
    time.day = static_cast<unsigned>(left + 1);
    return time;
}

}  // namespace hvsim::devices
