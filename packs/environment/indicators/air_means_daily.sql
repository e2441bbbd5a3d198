---
title:
  vi: Trung bình ngày và 8 giờ các chất
  en: Daily and 8-hour means
words:
  vi: >-
    Trung bình 24 giờ của SO₂, NO₂, PM10 và trung bình 8 giờ lớn nhất trong ngày của CO, O₃ tại trạm, so
    với giá trị giới hạn. Ngày tính từ 01:00 đến 00:00 hôm sau. Cần ít nhất 18 giờ số liệu trong ngày
    và 6 giờ trong mỗi 8 giờ (75 %; quy chuẩn không quy định số giờ, tỉnh cần xác nhận). PM2.5 xem chỉ
    số PM2.5 trung bình 24 giờ.
  en: >-
    The 24-hour means of SO₂, NO₂ and PM10 and the day's largest 8-hour means of CO and O₃ at a station,
    against their limits. A day is 01:00 to 00:00 of the next day. At least 18 hours of the day and 6
    of each 8 hours are needed (75 %; the regulation gives no number, the province must confirm it).
    For PM2.5 see its 24-hour mean.
source: QCVN 05:2023/BTNMT (Thông tư 01/2023/TT-BTNMT)
inputs:
  air_quality: [so2, no2, pm10, co, o3]
key: [station]
period: {grain: day, zone: Asia/Ho_Chi_Minh}
# The 8-hour mean of 01:00 begins with the hour 18:00 of the day before.
lookback: PT7H
freshness: P2D
better: lower
outputs:
  so2_24h: {title: {vi: SO₂ trung bình 24 giờ, en: 24-hour mean of SO₂}, unit: µg/m³, decimals: 1}
  no2_24h: {title: {vi: NO₂ trung bình 24 giờ, en: 24-hour mean of NO₂}, unit: µg/m³, decimals: 1}
  pm10_24h: {title: {vi: PM10 trung bình 24 giờ, en: 24-hour mean of PM10}, unit: µg/m³, decimals: 1}
  co_8h: {title: {vi: CO trung bình 8 giờ lớn nhất, en: Largest 8-hour mean of CO}, unit: µg/m³, decimals: 0}
  o3_8h: {title: {vi: O₃ trung bình 8 giờ lớn nhất, en: Largest 8-hour mean of O₃}, unit: µg/m³, decimals: 1}
thresholds:
  - output: so2_24h
    above: 125
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: SO₂ 24 giờ vượt giá trị giới hạn, en: SO₂ over the 24-hour limit}
    source: QCVN 05:2023/BTNMT, SO₂ trung bình 24 giờ 125 µg/Nm³
  - output: no2_24h
    above: 100
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: NO₂ 24 giờ vượt giá trị giới hạn, en: NO₂ over the 24-hour limit}
    source: QCVN 05:2023/BTNMT, NO₂ trung bình 24 giờ 100 µg/Nm³
  - output: pm10_24h
    above: 100
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: PM10 24 giờ vượt giá trị giới hạn, en: PM10 over the 24-hour limit}
    source: QCVN 05:2023/BTNMT, PM10 trung bình 24 giờ 100 µg/Nm³
  - output: co_8h
    above: 10000
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: CO 8 giờ vượt giá trị giới hạn, en: CO over the 8-hour limit}
    source: QCVN 05:2023/BTNMT, CO trung bình 8 giờ 10.000 µg/Nm³
  - output: o3_8h
    above: 120
    valid: {from: 2023-09-12}
    severity: warning
    title: {vi: O₃ 8 giờ vượt giá trị giới hạn, en: O₃ over the 8-hour limit}
    source: QCVN 05:2023/BTNMT, O₃ trung bình 8 giờ 120 µg/Nm³
    verify: true
---
SELECT station, time, so2_24h, no2_24h, pm10_24h, co_8h, o3_8h
FROM air_means_daily((SELECT stream, time, value FROM air_quality WHERE usable))
