---
title:
  vi: PM2.5 trung bình 24 giờ
  en: 24-hour mean of PM2.5
words:
  vi: >-
    Trung bình của các giá trị trung bình giờ PM2.5 trong ngày tại trạm (từ 01:00 đến 00:00 hôm
    sau), chỉ tính giờ có số liệu hợp lệ. Cần ít nhất 18 giờ (75 %; quy chuẩn không quy định số giờ,
    tỉnh cần xác nhận).
  en: >-
    The mean of the hourly means of PM2.5 of a day at a station (01:00 to 00:00 of the next day),
    over the hours with valid data. At least 18 hours are needed (75 %; the regulation gives no
    number, the province must confirm it).
source: QCVN 05:2023/BTNMT (Thông tư 01/2023/TT-BTNMT)
inputs:
  air_quality: [pm25]
key: [station]
period: {grain: day, zone: Asia/Ho_Chi_Minh}
freshness: P2D
better: lower
outputs:
  pm25_24h:
    title: {vi: PM2.5 trung bình 24 giờ, en: 24-hour mean of PM2.5}
    unit: µg/m³
    decimals: 1
  hours:
    title: {vi: Số giờ có số liệu, en: Hours with data}
    better: higher
    unit: "1"
    decimals: 0
thresholds:
  - output: pm25_24h
    above: 50
    valid: {from: 2023-09-12, to: 2025-12-31}
    severity: warning
    title: {vi: PM2.5 24 giờ vượt giá trị giới hạn, en: PM2.5 over the 24-hour limit}
    source: QCVN 05:2023/BTNMT, PM2.5 trung bình 24 giờ 50 µg/Nm³ đến hết 31/12/2025
  - output: pm25_24h
    above: 45
    valid: {from: 2026-01-01}
    severity: warning
    title: {vi: PM2.5 24 giờ vượt giá trị giới hạn, en: PM2.5 over the 24-hour limit}
    source: QCVN 05:2023/BTNMT, PM2.5 trung bình 24 giờ 45 µg/Nm³ từ 01/01/2026
---
SELECT station, day AS time, avg(pm25) AS pm25_24h, count(*) AS hours
FROM (
  SELECT station, day, hour, avg(value) AS pm25
  FROM air_quality
  WHERE parameter = 'pm25' AND usable
  GROUP BY station, day, hour
)
GROUP BY station, day
HAVING count(*) >= 18
